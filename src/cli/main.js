// JavaScript, alone in this tree: Node must know where compiled code is kept before it reads the first line of TypeScript, or it
// loads its TypeScript compiler at every start (35 ms).
import { mkdirSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/** Compiled code is kept in a folder that only this user can write, so that a second start need not compile again. */
function keepCompiledCode() {
  const base =
    process.getuid?.() === 0
      ? '/var/cache'
      : (process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? '/tmp', '.cache'));
  try {
    const folder = join(base, 'k8ts', 'compiled');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    enableCompileCache(folder);
  } catch {}
}

keepCompiledCode();
const { runCli } = await import('./run.ts');
process.exit(await runCli(process.argv.slice(2)));
