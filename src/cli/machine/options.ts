import { hostname } from 'node:os';
import type { Command } from 'commander';
import { environmentVariable } from '#base';

/** The option by which every command finds its machine. */
export function withRoot(command: Command): Command {
  return command.option(
    '--root <dir>',
    'put everything of this machine below a folder (default: $K8TS_ROOT, or /)',
    environmentVariable('K8TS_ROOT') ?? '/',
  );
}

/** `a,b` given once or several times. */
export function collectNames(value: string, list: readonly string[]): readonly string[] {
  return [...list, ...value.split(',').filter((one) => one !== '')];
}

export function defaultNodeName(): string {
  return hostname().toLowerCase();
}
