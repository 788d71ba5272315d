import { readFileSync } from 'node:fs';
import type { Clock, Timer } from '#base';

const everyMs = 1_000;

/**
 * Calls back when the machine's IPv4 routes are no longer what they were: a link that goes down takes its routes along, and coming up
 * brings back only the kernel's own. One small file of /proc is read every second; no process waits. Returns what ends it.
 */
export function watchRoutes(options: {
  readonly clock: Clock;
  readonly onChange: () => void;
  /** The table as text; tests give another. */
  readonly read?: () => string;
}): () => void {
  const { clock, onChange, read = readTable } = options;
  let before = read();
  let timer: Timer;
  const look = (): void => {
    const now = read();
    if (now !== before) {
      before = now;
      onChange();
    }
    timer = clock.setTimer(look, everyMs);
  };
  timer = clock.setTimer(look, everyMs);
  return () => timer.cancel();
}

/** Routes to this machine's own pods come and go with them. */
const podLink = 'veth';

function readTable(): string {
  try {
    const lines = readFileSync('/proc/net/route', 'latin1').split('\n');
    return lines.filter((line) => !line.startsWith(podLink)).join('\n');
  } catch {
    return '';
  }
}
