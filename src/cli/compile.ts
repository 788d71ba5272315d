import { globSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Not loaded: tests and what only they use, and files that are a program and run when they are loaded. */
const left = /(?:\.(?:test|fixture|bench)|-program)\.ts$|^(?:testkit|testing)\b/;

/**
 * Loads every module of a clone, also those that a process loads when it first needs them, so that compiled code is kept of all:
 * whoever must compile also keeps the compiler in memory (20 MiB). An installed package is JavaScript and has nothing to do.
 */
export async function compile(): Promise<void> {
  const own = fileURLToPath(import.meta.url);
  if (extname(own) !== '.ts') return;
  const source = dirname(dirname(own));
  const files = globSync('**/*.ts', { cwd: source }).filter((one) => !left.test(one));
  await Promise.all(files.map((one) => import(pathToFileURL(join(source, one)).href)));
}
