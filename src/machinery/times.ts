import { CodedError } from '#base';

const pattern = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)$/;

const canonical = /^\d{4}-\d\d-\d\dT[0-2]\d:\d\d:\d\dZ$/;
/** Days that a month may not have, and hour 24: left to the strict road. */
const lastDays = /^.{8}(?:29|3)|T24/;
const firstFastMs = -62_135_596_800_000;

/** Milliseconds since 1970 of an RFC 3339 time; NaN when it is none (also for an absent one). */
export function parseTimeMs(time: string | undefined | null): number {
  if (time === undefined || time === null) return Number.NaN;
  if (time.length === 20 && time.charCodeAt(19) === 0x5a) {
    const ms = Date.parse(time);
    if (ms >= firstFastMs && canonical.test(time) && !lastDays.test(time)) return ms;
  }
  const match = pattern.exec(time);
  if (match === null) return Number.NaN;
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match;
  if (Number(month) < 1 || Number(month) > 12 || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59)
    return Number.NaN;
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  if (Number(year) >= 100 && new Date(date).getUTCDate() !== Number(day)) return Number.NaN;
  const ms = fraction === '' ? 0 : Math.floor(Number(`0.${fraction}`) * 1000);
  if (zone === 'Z' || zone === 'z') return date + ms;
  const offset = (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6))) * 60_000;
  return date + ms - (zone.startsWith('-') ? -offset : offset);
}

const units: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['μs', 1e-3],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** Milliseconds of a Go duration (`1h30m`, `500ms`, `-1.5s`, `0`). Throws CodedError `InvalidDuration`. */
export function parseGoDuration(text: string): number {
  const whole = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  if (whole === null) throw new CodedError('InvalidDuration', `time: invalid duration ${JSON.stringify(text)}`);
  let ms = 0;
  for (const [, number, unit] of (whole[2] as string).matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    ms += Number(number) * (units.get(unit as string) as number);
  }
  return whole[1] === '-' ? -ms : ms;
}

/** As Go prints it: `1h30m0s`, `1.5s`, `10ms`, `0s`. */
export function formatGoDuration(ms: number): string {
  if (ms === 0) return '0s';
  if (ms < 0) return `-${formatGoDuration(-ms)}`;
  const nanos = Math.round(ms * 1e6);
  if (nanos < 1000) return `${nanos}ns`;
  if (nanos < 1_000_000) return `${nanos / 1000}µs`;
  if (nanos < 1_000_000_000) return `${nanos / 1_000_000}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = trim((nanos - minutes * 60_000_000_000) / 1e9);
  if (minutes === 0) return `${seconds}s`;
  return minutes < 60 ? `${minutes}m${seconds}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}s`;
}

const trim = (seconds: number): string => seconds.toFixed(9).replace(/\.?0+$/, '') || '0';
