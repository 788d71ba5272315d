import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '#base';
import type { ClusterLayout } from '../local/layout.ts';

/** There while a restore exchanges files. */
export function markIn(dataDir: string): string {
  return join(dataDir, 'restore.interrupted');
}

/** Throws RestoreInterrupted when a restore of this cluster was cut off: half of its data would be of another time. */
export function requireWholeRestore(layout: ClusterLayout): void {
  if (!existsSync(markIn(layout.dataDir))) return;
  throw new CodedError(
    'RestoreInterrupted',
    `a restore of cluster ${layout.name} was interrupted while files were exchanged: run k8ts restore with the same backup again`,
  );
}
