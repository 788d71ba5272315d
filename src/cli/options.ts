import { InvalidArgumentError } from 'commander';

export function parseCount(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('expected a whole number, 0 or more');
  return Number(text);
}

export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('expected a port, 1 to 65535');
  return port;
}

export function parseName(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/.test(text)) {
    throw new InvalidArgumentError(
      "expected at most 40 lower case letters, digits and '-', with a letter or digit at both ends",
    );
  }
  return text;
}

/** `120s`, `2m`, `500ms`, `1h`, or plain seconds. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (match === null) throw new InvalidArgumentError('expected a duration like 120s, 2m or 500ms');
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? 's'] as number;
  return Number(match[1]) * unit;
}

/** How long a request takes that is logged: `all`, or a duration. */
export function parseThresholdMs(text: string): number {
  return text === 'all' ? 0 : parseDurationMs(text);
}

/** A duration of at least a minute, or 0 (off). */
export function parseIntervalMs(text: string): number {
  const valueMs = parseDurationMs(text);
  if (valueMs !== 0 && valueMs < 60_000)
    throw new InvalidArgumentError('expected a duration of a minute or more, or 0');
  return valueMs;
}

/** A revision (a whole number), or a time: `2026-11-23T02:40:00Z`, without a zone in that of this machine. */
export function parseMoment(text: string): { revision: number } | { timeMs: number } {
  if (/^\d{1,15}$/.test(text)) return { revision: Number(text) };
  const timeMs = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?$/.test(text)
    ? Date.parse(text.replace(' ', 'T'))
    : Number.NaN;
  if (Number.isNaN(timeMs)) throw new InvalidArgumentError('expected a revision or a time like 2026-11-23T02:40:00Z');
  return { timeMs };
}

export function parseOutput(text: string): 'json' {
  if (text !== 'json') throw new InvalidArgumentError('expected json');
  return text;
}
