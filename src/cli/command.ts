import type { Command } from 'commander';

/** One verb: a file `x.command.ts` and a line in catalogue.ts. Heavy rooms are imported inside the action, never at the top. */
export interface CommandDefinition {
  readonly name: string;
  readonly describe: (command: Command) => void;
}

export function defineCommand(name: string, describe: (command: Command) => void): CommandDefinition {
  return { name, describe };
}
