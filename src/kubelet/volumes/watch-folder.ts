import { type FSWatcher, watch } from 'node:fs';
import { type Clock, type Log, messageOf, type Timer } from '#base';

const lookMs = 5_000;

/** Tells that something in a folder has changed; where the machine has no more watches to give, it is looked at every five seconds instead. */
export function watchFolder(
  directory: string,
  onChange: () => void,
  options: { readonly clock: Clock; readonly log: Log },
): { close(): void } {
  const { clock, log } = options;
  let watcher: FSWatcher | undefined;
  let timer: Timer | undefined;
  let closed = false;
  const look = (): void => {
    if (closed) return;
    timer = clock.setTimer(() => {
      onChange();
      look();
    }, lookMs);
  };
  const fall = (error: unknown): void => {
    log.warn({ directory, error: messageOf(error) }, 'a folder cannot be watched: it is looked at every five seconds');
    watcher?.close();
    watcher = undefined;
    if (timer === undefined) look();
  };
  try {
    watcher = watch(directory, onChange);
    watcher.on('error', fall);
    watcher.unref();
  } catch (error) {
    fall(error);
  }
  return {
    close() {
      closed = true;
      watcher?.close();
      timer?.cancel();
    },
  };
}
