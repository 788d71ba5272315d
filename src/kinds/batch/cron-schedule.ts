interface FieldRange {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly names?: readonly string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const ranges: readonly FieldRange[] = [
  { name: 'minute', low: 0, high: 59 },
  { name: 'hour', low: 0, high: 23 },
  { name: 'dom', low: 1, high: 31 },
  { name: 'month', low: 1, high: 12, names: months },
  { name: 'dow', low: 0, high: 6, names: days },
];

const descriptors: readonly string[] = [
  '@yearly',
  '@annually',
  '@monthly',
  '@weekly',
  '@daily',
  '@midnight',
  '@hourly',
];
const everyPattern = /^@every (\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/;

/** What is wrong with a five-field cron schedule or a descriptor such as `@daily`, in the words of upstream's parser. */
export function cronScheduleError(schedule: string): string | undefined {
  const [, rest = schedule] = /^(?:CRON_)?TZ=\S+\s+(.*)$/.exec(schedule) ?? [];
  if (rest.startsWith('@')) {
    if (descriptors.includes(rest) || everyPattern.test(rest)) return undefined;
    return rest.startsWith('@every ') ? `failed to parse duration ${rest}` : `unrecognized descriptor: ${rest}`;
  }
  const fields = rest.split(/\s+/).filter((field) => field !== '');
  if (fields.length !== ranges.length)
    return `expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`;
  for (const [index, range] of ranges.entries())
    for (const part of (fields[index] ?? '').split(',')) {
      const error = partError(part, range);
      if (error !== undefined) return error;
    }
  return undefined;
}

function partError(part: string, range: FieldRange): string | undefined {
  const [span = '', step, ...extraSteps] = part.split('/');
  if (extraSteps.length > 0) return `too many slashes: ${part}`;
  const [first = '', last, ...extraBounds] = span.split('-');
  if (extraBounds.length > 0) return `too many hyphens: ${part}`;
  let low = range.low;
  let high = range.high;
  if (first !== '*' && first !== '?') {
    const start = numberOf(first, range);
    if (typeof start === 'string') return start;
    const end = last === undefined ? start : numberOf(last, range);
    if (typeof end === 'string') return end;
    low = start;
    high = step !== undefined && last === undefined ? range.high : end;
  }
  if (step !== undefined) {
    const every = numberOf(step, { ...range, names: [] });
    if (typeof every === 'string') return every;
    if (every === 0) return `step of range should be a positive number: ${part}`;
  }
  if (low < range.low) return `beginning of range (${low}) below minimum (${range.low}): ${part}`;
  if (high > range.high) return `end of range (${high}) above maximum (${range.high}): ${part}`;
  if (low > high) return `beginning of range (${low}) beyond end of range (${high}): ${part}`;
  return undefined;
}

function numberOf(text: string, range: FieldRange): number | string {
  const named = range.names?.indexOf(text.toLowerCase()) ?? -1;
  if (named >= 0) return named + range.low;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  return `failed to parse int from ${text}: strconv.Atoi: parsing "${text}": invalid syntax`;
}
