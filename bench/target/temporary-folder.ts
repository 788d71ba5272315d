import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that is gone when this process ends, however it ends (SIGKILL apart). */
export function temporaryFolder(purpose: string): string {
  const folder = mkdtempSync(join(tmpdir(), `k8ts-bench-${purpose}-`));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
