import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { makeDirectory, makeDirectorySync } from './directories.ts';

const ways = {
  makeDirectory,
  makeDirectorySync: async (path: string, mode?: number) => makeDirectorySync(path, mode),
};

for (const [name, make] of Object.entries(ways)) {
  describe(name, () => {
    let dir: string;
    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), 'k8ts-directories-'));
    });
    afterEach(() => rmSync(dir, { recursive: true, force: true }));

    it('makes what is missing with the mode, and leaves what is there', async () => {
      const path = join(dir, 'a', 'b', 'c');
      await make(path, 0o700);
      await make(path, 0o755);
      for (const one of [path, join(dir, 'a')]) assert.equal(statSync(one).mode & 0o777, 0o700);
    });

    it('serves several that make the same at once', async () => {
      await Promise.all(Array.from({ length: 20 }, (_, i) => make(join(dir, 'x', 'y', String(i % 2)))));
      assert.ok(statSync(join(dir, 'x', 'y', '1')).isDirectory());
    });

    it('says why not: a file in the way, a link to nothing, a file system that refuses the name', async () => {
      writeFileSync(join(dir, 'file'), '');
      symlinkSync(join(dir, 'nothing'), join(dir, 'link'));
      for (const path of [join(dir, 'file'), join(dir, 'file', 'x'), join(dir, 'link', 'x'), '/proc/k8ts/x']) {
        await assert.rejects(
          make(path),
          { code: 'DirectoryNotMade', message: /cannot be made \(.+\): name another/ },
          path,
        );
      }
    });
  });
}
