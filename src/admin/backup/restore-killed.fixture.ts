import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base';
import { clusterLayout } from '../local/layout.ts';
import { verifyBackup } from './backup-file.ts';
import { restoreLocalCluster } from './restore-local.ts';

/** A process made to be killed: restores a backup over a cluster again and again, and says each time when it begins. */
const [dir = '', file = ''] = process.argv.slice(2);
const layout = { ...clusterLayout('one', { isRoot: false, dataDir: join(dir, 'data') }), runDir: join(dir, 'run') };
const backup = await verifyBackup(file);
for (;;) {
  writeSync(1, 'begins\n');
  await restoreLocalCluster({ file, backup, layout, clock: systemClock, place: async (state) => state });
}
