import { createWriteStream, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { requireState } from '#admin';
import { CodedError } from '#base';
import { defineCommand } from '../command.ts';
import { loadImages } from '../local/images.ts';
import { type ClusterOptions, layoutOf, withCluster } from '../local/options.ts';
import { openProgress } from '../progress.ts';

export const imageCommand = defineCommand('image', (command) => {
  withCluster(command.command('load <file>'))
    .description('load an image archive (OCI or docker save; - for standard input) into every node')
    .action(async (file: string, options: ClusterOptions) => {
      const layout = layoutOf(options);
      const state = requireState(layout);
      if (file !== '-' && !existsSync(file))
        throw new CodedError('NoFile', `${file} does not exist: give an image archive, or - for standard input`);
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
