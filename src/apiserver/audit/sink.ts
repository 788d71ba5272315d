import { closeSync, fstatSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Clock, type Closable, type Log, messageOf, type Timer, makeDirectorySync } from '#base';

/** Where audit events go. */
export interface AuditSink {
  write(event: object): void;
}

/** Every event to each of them. */
export function allSinks(sinks: readonly (AuditSink & Closable)[]): AuditSink & Closable {
  return {
    write(event) {
      for (const one of sinks) one.write(event);
    },
    close: async () => void (await Promise.all(sinks.map((one) => one.close()))),
  };
}

/** An event as JSON; one of more than `largestBytes` without its objects, which an annotation says. Undefined: too large even so. */
export function eventText(event: object, largestBytes = Number.POSITIVE_INFINITY): string | undefined {
  const text = JSON.stringify(event);
  if (text.length <= largestBytes) return text;
  const { requestObject: _request, responseObject: _response, annotations, ...rest } = event as Record<string, unknown>;
  const marked = { ...(annotations as object | undefined), 'audit.k8s.io/truncated': 'true' };
  const shorter = JSON.stringify({ ...rest, annotations: marked });
  return shorter.length <= largestBytes ? shorter : undefined;
}

export interface FileSinkOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Larger events lose their objects; default no limit. */
  readonly largestEventBytes?: number;
  /** A file of this size is put aside; default 100 MiB. */
  readonly largestBytes?: number;
  /** How many of those are kept; default 10. */
  readonly kept?: number;
  /** Those that are older are removed when the next is put aside; default never. */
  readonly oldestMs?: number;
}

const asideForm = /^\d{4}-\d{2}-\d{2}T[\d-]+\.\d{3}Z$/;
const flushAfterMs = 200;
const flushAtBytes = 256 * 1024;

/** One JSON line an event, in a file of mode 0600, written in batches. A disk that refuses is reported and does not stop the server. */
export function openFileSink(options: FileSinkOptions): AuditSink & Closable {
  const { path, clock, log, largestBytes = 100 << 20, kept = 10, oldestMs = Number.POSITIVE_INFINITY } = options;
  makeDirectorySync(dirname(path), 0o700);
  let file = openSync(path, 'a', 0o600);
  let size = fstatSync(file).size;
  let lines: string[] = [];
  let pending = 0;
  let timer: Timer | undefined;

  const rotate = (): void => {
    closeSync(file);
    try {
      renameSync(path, `${path}.${new Date(clock.nowMs()).toISOString().replaceAll(':', '-')}`);
      removeOld();
    } finally {
      file = openSync(path, 'a', 0o600);
      size = fstatSync(file).size;
    }
  };
  const removeOld = (): void => {
    const prefix = `${basename(path)}.`;
    const old = readdirSync(dirname(path))
      .filter((name) => name.startsWith(prefix) && asideForm.test(name.slice(prefix.length)))
      .sort()
      .reverse();
    old.forEach((name, index) => {
      const aside = join(dirname(path), name);
      const ageMs = clock.nowMs() - (statSync(aside, { throwIfNoEntry: false })?.mtimeMs ?? 0);
      if (index >= kept || ageMs > oldestMs) rmSync(aside, { force: true });
    });
  };
  const flush = (): void => {
    timer?.cancel();
    timer = undefined;
    if (lines.length === 0) return;
    const bytes = Buffer.from(lines.join(''));
    lines = [];
    pending = 0;
    try {
      const written = writeSync(file, bytes);
      size += written;
      if (written < bytes.length)
        log.error({ bytes: bytes.length - written }, 'audit events were lost: the disk is full');
      if (size >= largestBytes) rotate();
    } catch (error) {
      log.error({ error: messageOf(error) }, 'audit events were lost');
    }
  };
  return {
    write(event) {
      const text = eventText(event, options.largestEventBytes);
      if (text === undefined) return log.error({}, 'an audit event was lost: it is too large even without its objects');
      const line = `${text}\n`;
      lines.push(line);
      pending += line.length;
      if (pending >= flushAtBytes) flush();
      else timer ??= clock.setTimer(flush, flushAfterMs);
    },
    async close() {
      flush();
      closeSync(file);
    },
  };
}
