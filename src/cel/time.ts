import { CelError } from './errors.ts';

const secondNs = 1_000_000_000n;

const units: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1000n],
  ['µs', 1000n],
  ['μs', 1000n],
  ['ms', 1_000_000n],
  ['s', secondNs],
  ['m', 60n * secondNs],
  ['h', 3600n * secondNs],
]);

/** Nanoseconds of a Go duration, exactly. Throws CelError. */
export function parseDurationNs(text: string): bigint {
  const bad = (): never => {
    throw new CelError(`time: invalid duration ${JSON.stringify(text.slice(0, 100))}`);
  };
  const whole = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  if (whole === null || text.length > 200) return bad();
  let total = 0n;
  for (const [, amount = '', unit = ''] of (whole[2] as string).matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    const [integer = '', fraction = ''] = amount.split('.');
    const scale = units.get(unit) as bigint;
    total += BigInt(integer || '0') * scale;
    if (fraction !== '') total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  return whole[1] === '-' ? -total : total;
}

/** Seconds with their fraction, as the language writes durations: `90s`, `1.5s`. */
export function durationText(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const value = ns < 0n ? -ns : ns;
  return `${sign}${withFraction(String(value / secondNs), value % secondNs)}s`;
}

function withFraction(whole: string, ns: bigint): string {
  return ns === 0n ? whole : `${whole}.${String(ns).padStart(9, '0').replace(/0+$/, '')}`;
}

/** RFC 3339 in UTC, as many digits as are needed. */
export function timestampText(ns: bigint): string {
  const rest = ((ns % secondNs) + secondNs) % secondNs;
  const date = new Date(Number((ns - rest) / 1_000_000n));
  const year = String(date.getUTCFullYear()).padStart(4, '0');
  const text = `${year}${date
    .toISOString()
    .replace(/^[+-]?\d+/, '')
    .slice(0, 15)}`;
  return `${withFraction(text, rest)}Z`;
}

export interface TimeParts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly dayOfYear: number;
  readonly weekday: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
}

/** The parts of a time in a zone: `UTC`, `America/New_York`, `+02:00`. Throws CelError for an unknown zone. */
export function zonedParts(ns: bigint, zone: string): TimeParts {
  const restNs = ((ns % secondNs) + secondNs) % secondNs;
  const ms = Number((ns - restNs) / 1_000_000n);
  const date = new Date(ms + offsetMs(ms, zone));
  const year = date.getUTCFullYear();
  const startOfYear = new Date(0);
  startOfYear.setUTCFullYear(year, 0, 1);
  const day = Date.UTC(2000, date.getUTCMonth(), date.getUTCDate());
  const midnight = new Date(0);
  midnight.setUTCFullYear(year, date.getUTCMonth(), date.getUTCDate());
  return {
    year,
    month: date.getUTCMonth() + 1,
    day: new Date(day).getUTCDate(),
    dayOfYear: Math.round((midnight.getTime() - startOfYear.getTime()) / 86_400_000),
    weekday: date.getUTCDay(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    millisecond: Number(restNs / 1_000_000n),
  };
}

function offsetMs(ms: number, zone: string): number {
  if (zone === 'UTC' || zone === 'Z' || zone === '') return 0;
  const fixed = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (fixed !== null) {
    const [, sign, hours, minutes] = fixed;
    return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  }
  let format: Intl.DateTimeFormat;
  try {
    if (zone.length > 64) throw new RangeError();
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
  } catch {
    throw new CelError(`unknown time zone ${zone.slice(0, 64)}`);
  }
  const name = format.formatToParts(new Date(ms)).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const found = /([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(name);
  if (found === null) return 0;
  const [, sign, hours, minutes, seconds = '0'] = found;
  return (sign === '-' ? -1 : 1) * ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
}
