import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

/** Which rooms a room may import: the table of docs/architecture.md. `testkit` may import every room and no product room imports it. */
const mayImport: Readonly<Record<string, string>> = {
  base: '',
  api: 'base',
  wire: 'base',
  pki: 'base',
  machinery: 'base api',
  store: 'base wire',
  cel: 'base api machinery',
  codec: 'base wire api machinery',
  kinds: 'base api machinery',
  apiserver: 'base wire pki api machinery cel codec kinds store',
  client: 'base wire pki api machinery codec',
  controllers: 'base pki api machinery kinds client',
  scheduler: 'base api machinery kinds client',
  kubelet: 'base wire pki api machinery codec kinds client',
  network: 'base wire pki api machinery kinds client',
  admin: 'base wire pki api machinery codec client store',
  assembly:
    'base api wire pki machinery store cel codec kinds apiserver client controllers scheduler kubelet network admin',
  cli: 'base wire api machinery codec client admin',
};
const source = new URL('../src/', import.meta.url);
const importOf = /(?:^|[\s;])(?:import|export)\s[^;]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'/gm;
const lazyImportOf = /\bimport\(\s*'([^']+)'\s*\)/g;

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => /\.[jt]s$/.test(file));
const isTest = (file: string): boolean => file.endsWith('.test.ts');

function specifiers(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? '');
}

test('every room is in the import table', () => {
  const rooms = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]));
  rooms.delete('testkit');
  assert.deepEqual([...rooms].sort(), Object.keys(mayImport).sort());
});

test('imports of product code between rooms go down the floors, through the door, and never to the testkit', () => {
  const wrong: string[] = [];
  for (const file of files) {
    const [room = ''] = file.split('/');
    if (room === 'testkit' || !file.includes('/') || isTest(file)) continue;
    const allowed = new Set((mayImport[room] ?? '').split(' '));
    const text = readFileSync(new URL(file, source), 'utf8');
    const judge = (specifier: string, lazy: boolean): void => {
      if (specifier.startsWith('#')) {
        const target = specifier.slice(1);
        const lazyAssembly = lazy && room === 'cli' && target === 'assembly';
        if (!allowed.has(target) && !lazyAssembly) wrong.push(`${file} imports ${specifier}`);
      } else if (specifier.startsWith('.')) {
        const path = new URL(specifier, new URL(file, source)).pathname;
        if (!path.startsWith(new URL(`${room}/`, source).pathname)) {
          wrong.push(`${file} leaves its room by ${specifier}`);
        }
      }
    };
    for (const one of specifiers(text, importOf)) judge(one, false);
    for (const one of specifiers(text, lazyImportOf)) judge(one, true);
  }
  assert.deepEqual(wrong, []);
});

test('only base touches the clock, timers, randomness and the environment', () => {
  const forbidden = /\b(Date\.now|new Date\(\)|setTimeout|setInterval|Math\.random|performance\.now|process\.env)\b/;
  const wrong = files.filter((file) => {
    const [room = ''] = file.split('/');
    if (['base', 'testkit'].includes(room) || isTest(file) || !file.includes('/')) return false;
    const text = readFileSync(new URL(file, source), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    return forbidden.test(text.replace(/socket\.setTimeout|\.setTimeout\(/g, ''));
  });
  assert.deepEqual(wrong, ['cli/main.js'], 'cli/main.js runs before base is loaded');
});

test('programs are started without a shell', () => {
  const shell = /import \{[^}]*\b(exec|execSync)\b[^}]*\} from 'node:child_process'|shell:\s*true/;
  assert.deepEqual(
    files.filter((file) => shell.test(readFileSync(new URL(file, source), 'utf8'))),
    [],
  );
});

test('directories are made by base: Node never returns from a recursive mkdir of a name that its file system refuses', () => {
  const product = files.filter((file) => !isTest(file) && !/^testkit\/|\.fixture\.ts$/.test(file));
  const wrong = product.filter((file) =>
    /mkdir(Sync)?\([^;]*recursive/.test(readFileSync(new URL(file, source), 'utf8')),
  );
  assert.deepEqual(wrong, ['cli/main.js'], 'cli/main.js runs before base is loaded');
});

test('every room has a README', () => {
  const missing = Object.keys(mayImport).filter(
    (room) => !readdirSync(new URL(`${room}/`, source)).includes('README.md'),
  );
  assert.deepEqual(missing, []);
});
