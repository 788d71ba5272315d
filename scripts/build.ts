/**
 * Builds dist/ for publishing: plain JavaScript with declarations, `#room` imports turned into relative ones, data files copied.
 *
 *   node scripts/build.ts      then: npm pack
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
execFileSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')],
  {
    stdio: 'inherit',
  },
);

// The one source that is JavaScript already.
writeFileSync(
  join(dist, 'cli/main.js'),
  readFileSync(join(root, 'src/cli/main.js'), 'utf8').replace(/(import\('\.\/\w+)\.ts'/g, "$1.js'"),
);

const roomImport = /((?:from|import)\s*\(?\s*)(['"])#([a-z]+)\2/g;
for (const file of globSync('**/*.{js,d.ts}', { cwd: dist })) {
  const text = readFileSync(join(dist, file), 'utf8');
  const rewritten = text.replace(roomImport, (_, before: string, quote: string, room: string) => {
    const path = relative(dirname(file), `${room}/index.js`);
    return `${before}${quote}${path.startsWith('.') ? path : `./${path}`}${quote}`;
  });
  if (rewritten !== text) writeFileSync(join(dist, file), rewritten);
}
for (const file of globSync('**/*.{json,json.gz,bin}', { cwd: join(root, 'src') })) {
  if (file.startsWith('api/facts/')) continue; // what is generated from them is read at run time, not they
  mkdirSync(dirname(join(dist, file)), { recursive: true });
  copyFileSync(join(root, 'src', file), join(dist, file));
}
