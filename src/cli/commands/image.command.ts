import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { requireState } from '#admin';
import { defineCommand } from '../command.ts';
import { withExamples } from '../help.ts';
import { loadImages, requireArchive } from '../local/images.ts';
import { type ClusterOptions, layoutOf, withCluster } from '../local/options.ts';
import { openProgress } from '../progress.ts';

export const imageCommand = defineCommand('image', (command) => {
  const load = withCluster(command.command('load <file>'));
  withExamples(load, [
    ['docker save web:1 | k8ts image load -', 'an image of docker'],
    ['k8ts image load web.tar --name test', 'an archive, into another cluster'],
  ]);
  load
    .description('load an image archive (OCI or docker save; - for standard input) into every node')
    .action(async (file: string, options: ClusterOptions) => {
      const layout = layoutOf(options);
      const state = requireState(layout);
      if (file !== '-') requireArchive(file);
      const folder = file === '-' ? mkdtempSync(join(tmpdir(), 'k8ts-image-')) : undefined;
      try {
        const archive = folder === undefined ? file : join(folder, 'archive.tar');
        if (folder !== undefined) await pipeline(process.stdin, createWriteStream(archive, { mode: 0o600 }));
        const names = await openProgress().phase(`load ${file}`, () => loadImages(layout, state, archive));
        for (const name of names) process.stdout.write(`${name}\n`);
      } finally {
        if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
      }
    });
});
