import { CodedError } from '#base';
import { parseGoDuration } from '#machinery';

/** A cron schedule, ready to be asked. */
export interface Schedule {
  /** The first time after `afterMs` (Unix milliseconds); undefined when there is none within five years. */
  next(afterMs: number): number | undefined;
}

interface Field {
  readonly low: number;
  readonly high: number;
  readonly names?: readonly string[];
}

const fields: readonly Field[] = [
  { low: 0, high: 59 },
  { low: 0, high: 23 },
  { low: 1, high: 31 },
  { low: 1, high: 12, names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  { low: 0, high: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];

const descriptors: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** Reads a five-field schedule or a descriptor, in a time zone (IANA name; default UTC). Throws CodedError `InvalidSchedule`. */
export function parseSchedule(text: string, timeZone?: string): Schedule {
  const match = /^(?:CRON_)?TZ=(\S+)\s+(.*)$/.exec(text.trim());
  const zone = match?.[1] ?? timeZone ?? 'UTC';
  const rest = (match?.[2] ?? text).trim();
  if (rest.startsWith('@every ')) {
    const everyMs = Math.max(1000, Math.floor(parseGoDuration(rest.slice(7).trim()) / 1000) * 1000);
    return { next: (afterMs) => Math.floor(afterMs / 1000) * 1000 + everyMs };
  }
  const parts = (descriptors.get(rest) ?? rest).split(/\s+/);
  if (parts.length !== 5) throw invalid(text);
  const sets = parts.map((part, i) => parseField(part, fields[i] as Field, text));
  const offset = offsetIn(zone, text);
  const anyDay = /^[*?]/.test(parts[2] as string) || /^[*?]/.test(parts[4] as string);
  return { next: (afterMs) => nextTime(sets as unknown as Sets, anyDay, offset, afterMs) };
}

function invalid(text: string): CodedError {
  return new CodedError('InvalidSchedule', `${text} is not a cron schedule`);
}

function parseField(text: string, field: Field, whole: string): ReadonlySet<number> {
  const values = new Set<number>();
  const numberOf = (word: string): number => {
    const named = field.names?.indexOf(word.toLowerCase()) ?? -1;
    if (named >= 0) return named + field.low;
    if (!/^\d{1,4}$/.test(word)) throw invalid(whole);
    return Number(word);
  };
  for (const part of text.split(',')) {
    const [span = '', step] = part.split('/');
    const [first = '', last] = span.split('-');
    const star = first === '*' || first === '?';
    const from = star ? field.low : numberOf(first);
    const to = star ? field.high : last !== undefined ? numberOf(last) : step !== undefined ? field.high : from;
    const by = step === undefined ? 1 : numberOf(step);
    if (by < 1 || from < field.low || to > field.high || from > to) throw invalid(whole);
    for (let value = from; value <= to; value += by) values.add(value);
  }
  return values;
}

type Sets = readonly [
  minutes: ReadonlySet<number>,
  hours: ReadonlySet<number>,
  days: ReadonlySet<number>,
  months: ReadonlySet<number>,
  weekdays: ReadonlySet<number>,
];
type Offset = (ms: number) => number;

function nextTime(
  [minutes, hours, days, months, weekdays]: Sets,
  anyDay: boolean,
  offset: Offset,
  afterMs: number,
): number | undefined {
  let ms = (Math.floor(afterMs / minuteMs) + 1) * minuteMs;
  const endMs = ms + 5 * 366 * dayMs;
  /** The instant of a wall-clock time, or the next whole hour where the clocks change. */
  const jump = (wallMs: number): void => {
    const there = wallMs - offset(wallMs - offset(ms));
    ms = there > ms ? there : (Math.floor(ms / 3_600_000) + 1) * 3_600_000;
  };
  while (ms < endMs) {
    const wallMs = ms + offset(ms);
    const wall = new Date(wallMs);
    const dayFits = days.has(wall.getUTCDate());
    const weekdayFits = weekdays.has(wall.getUTCDay());
    if (!months.has(wall.getUTCMonth() + 1)) jump(Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth() + 1, 1));
    else if (anyDay ? !(dayFits && weekdayFits) : !(dayFits || weekdayFits))
      jump((Math.floor(wallMs / dayMs) + 1) * dayMs);
    else if (!hours.has(wall.getUTCHours())) jump((Math.floor(wallMs / 3_600_000) + 1) * 3_600_000);
    else if (!minutes.has(wall.getUTCMinutes())) ms += minuteMs;
    else return ms;
  }
  return undefined;
}

/** How far a zone's clocks are ahead of UTC at an instant. */
function offsetIn(zone: string, text: string): Offset {
  if (zone === 'UTC' || zone === 'Etc/UTC') return () => 0;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (cause) {
    throw new CodedError('InvalidSchedule', `${text}: unknown time zone ${zone}`, { cause });
  }
  return (ms) => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(ms)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
  };
}

/** The newest time due in (fromMs, nowMs], and how many were (counted to 101 at most). */
export function dueTimes(schedule: Schedule, fromMs: number, nowMs: number): { latestMs?: number; count: number } {
  const first = schedule.next(fromMs);
  if (first === undefined || first > nowMs) return { count: 0 };
  let latestMs = first;
  for (let count = 1; count <= 100; count++) {
    const next = schedule.next(latestMs);
    if (next === undefined || next > nowMs) return { latestMs, count };
    latestMs = next;
  }
  return { latestMs: latestBefore(schedule, latestMs, nowMs), count: 101 };
}

/** Looks back from now in growing steps, then forward. */
function latestBefore(schedule: Schedule, knownMs: number, nowMs: number): number {
  const stepMs = Math.max(minuteMs, (schedule.next(knownMs) ?? nowMs) - knownMs);
  let latestMs = knownMs;
  for (let backMs = stepMs; nowMs - backMs > knownMs; backMs *= 2) {
    const found = schedule.next(nowMs - backMs);
    if (found !== undefined && found <= nowMs) {
      latestMs = found;
      break;
    }
  }
  for (let next = schedule.next(latestMs); next !== undefined && next <= nowMs; next = schedule.next(latestMs))
    latestMs = next;
  return latestMs;
}
