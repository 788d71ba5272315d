import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CodedError } from '#base';
import { defineCommand } from '../command.ts';

export const testCommand = defineCommand('test', (command) => {
  command.argument('[suites...]').action(async (suites: string[]) => {
    const script = fileURLToPath(new URL('../../../scripts/test.ts', import.meta.url));
    if (!existsSync(script)) throw new CodedError('NoTests', 'an installed package has no tests: run this in a clone');
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...suites], {
      stdio: 'inherit',
    });
    process.exitCode = await new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
  });
});
