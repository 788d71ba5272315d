import type { Command } from 'commander';

/** One verb: a file `commands/x.command.ts`, and a line in catalogue.ts that names it without loading it. */
export interface CommandDefinition {
  readonly name: string;
  /** Adds options, sub-commands and the action to the verb's (already described) command. */
  readonly describe: (command: Command) => void;
}

export interface CommandEntry {
  readonly name: string;
  readonly description: string;
  readonly load: () => Promise<CommandDefinition>;
}

export function defineCommand(name: string, describe: (command: Command) => void): CommandDefinition {
  return { name, describe };
}
