/** Instants and durations between their JSON text and the whole numbers of protobuf. Proleptic Gregorian, no time zones. */
const pattern =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9})\d*)?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;

function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719468;
}

export interface Instant {
  readonly seconds: number;
  readonly nanos: number;
}

let lastText = '';
let lastInstant: Instant | undefined;

/** RFC 3339 as Unix seconds and nanoseconds; undefined when it is none. */
export function parseRfc3339(text: string): Instant | undefined {
  if (text !== lastText) {
    lastInstant = parseInstant(text);
    lastText = text;
  }
  return lastInstant;
}

function parseInstant(text: string): Instant | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHour, offsetMinute] = match;
  const [y, mo, d, h, mi, s] = [year, month, day, hour, minute, second].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || s > 59) return undefined;
  const offset = sign === undefined ? 0 : (Number(offsetHour) * 60 + Number(offsetMinute)) * (sign === '-' ? -60 : 60);
  const seconds = daysFromCivil(y, mo, d) * 86400 + h * 3600 + mi * 60 + s - offset;
  return { seconds, nanos: fraction === undefined ? 0 : Number(fraction.padEnd(9, '0')) };
}

const two = (value: number): string => (value < 10 ? `0${value}` : String(value));
let cachedDays = Number.NaN;
let cachedDate = '';

function dateOf(days: number): string {
  if (days === cachedDays) return cachedDate;
  const z = days + 719468;
  const era = Math.floor(z / 146097);
  const dayOfEra = z - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted + (shifted < 10 ? 3 : -9);
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  cachedDays = days;
  cachedDate = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
  return cachedDate;
}

function instant(seconds: number): string {
  const days = Math.floor(seconds / 86400);
  const rest = seconds - days * 86400;
  return `${dateOf(days)}T${two(Math.floor(rest / 3600))}:${two(Math.floor((rest % 3600) / 60))}:${two(rest % 60)}`;
}

/** 2026-11-22T23:28:14Z */
export function formatTime(seconds: number): string {
  return `${instant(seconds)}Z`;
}

/** 2026-11-22T23:28:14.000123Z */
export function formatMicroTime(seconds: number, nanos: number): string {
  return `${instant(seconds)}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
}

const unitNanos: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** A Go duration (`1h2m3.5s`, `-300ms`, `0`) in nanoseconds; undefined when it is none. */
export function parseDurationNanos(text: string): bigint | undefined {
  if (text === '0') return 0n;
  const match = /^([+-]?)((?:\d+\.?\d*(?:ns|us|µs|μs|ms|s|m|h)|\.\d+(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return undefined;
  let total = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of (match[2] as string).matchAll(
    /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g,
  )) {
    const size = unitNanos[unit] as bigint;
    total += BigInt(whole === '' ? 0 : whole) * size;
    if (fraction !== '') total += (BigInt(fraction) * size) / 10n ** BigInt(fraction.length);
  }
  return match[1] === '-' ? -total : total;
}

/** Nanoseconds as Go prints a duration: `1h2m3.5s`, `300ms`, `0s`. */
export function formatDurationNanos(nanos: bigint): string {
  if (nanos === 0n) return '0s';
  const sign = nanos < 0n ? '-' : '';
  const size = nanos < 0n ? -nanos : nanos;
  if (size < 1_000n) return `${sign}${size}ns`;
  if (size < 1_000_000n) return `${sign}${decimal(size, 3)}µs`;
  if (size < 1_000_000_000n) return `${sign}${decimal(size, 6)}ms`;
  const minutes = size / 60_000_000_000n;
  const seconds = `${decimal(size % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) return `${sign}${seconds}`;
  const hours = minutes / 60n;
  return hours === 0n ? `${sign}${minutes}m${seconds}` : `${sign}${hours}h${minutes % 60n}m${seconds}`;
}

function decimal(value: bigint, places: number): string {
  const size = 10n ** BigInt(places);
  const fraction = (value % size).toString().padStart(places, '0').replace(/0+$/, '');
  return fraction === '' ? `${value / size}` : `${value / size}.${fraction}`;
}
