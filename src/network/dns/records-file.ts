import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, type Closable, type Log, messageOf, type Timer, makeDirectory } from '#base';
import type { ClusterNames, NamedService } from './names.ts';

const format = 1;
const soonMs = 1_000;
const pauseMs = 5_000;

/** What the file holds for this domain; empty when there is no file, or none that can be read. */
export function readRecords(file: string, domain: string, log: Log): [string, NamedService][] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return [];
  }
  try {
    const found = JSON.parse(text) as { format?: number; domain?: string; services?: [string, NamedService][] };
    if (found.format !== format || found.domain !== domain || !Array.isArray(found.services)) return [];
    return found.services.filter(([key, one]) => typeof key === 'string' && isService(one));
  } catch (error) {
    log.warn({ file, error: messageOf(error) }, 'the names of an earlier run cannot be read; they come from the API');
    return [];
  }
}

function isService(one: NamedService): boolean {
  return (
    typeof one?.name === 'string' &&
    typeof one.namespace === 'string' &&
    Array.isArray(one.addresses) &&
    Array.isArray(one.ports) &&
    Array.isArray(one.endpoints)
  );
}

/**
 * Keeps the last known names in a file, for a start without the API server: written a second after a change, then at most every five
 * seconds, and at `close`.
 */
export function keepRecords(options: {
  readonly file: string;
  readonly names: ClusterNames;
  readonly clock: Clock;
  readonly log: Log;
}): Closable & { changed(): void } {
  const { file, names, clock, log } = options;
  let timer: Timer | undefined;
  let writing: Promise<void> = Promise.resolve();
  let writtenMs = Number.NEGATIVE_INFINITY;
  let written = names.version;

  const write = async (): Promise<void> => {
    timer = undefined;
    if (written === names.version) return;
    written = names.version;
    writtenMs = clock.monotonicMs();
    const text = JSON.stringify({ format, domain: names.domain, services: [...names.entries()] });
    const part = `${file}.part`;
    try {
      await makeDirectory(dirname(file));
      await writeFile(part, text, { mode: 0o600 });
      await rename(part, file);
    } catch (error) {
      log.warn({ file, error: messageOf(error) }, 'the names are not kept: a start without the API would know none');
    }
  };
  return {
    changed() {
      if (timer !== undefined) return;
      const waitMs = Math.max(soonMs, writtenMs + pauseMs - clock.monotonicMs());
      timer = clock.setTimer(() => {
        writing = writing.then(write);
      }, waitMs);
    },
    async close() {
      timer?.cancel();
      await writing;
      await write();
    },
  };
}
