import type { Clock, Random } from '#base';
import type { OwnCommand } from './components.ts';

/** How a command tells of its phases. */
export interface Telling {
  phase<T>(title: string, work: () => Promise<T>): Promise<T>;
  say(line: string): void;
}

/** What every command that makes this machine part of a cluster is given. */
export interface MachineOptions {
  /** Below which everything is put; `/` but in tests. */
  readonly root: string;
  readonly ignorePreflightErrors: readonly string[];
  readonly ownCommand: OwnCommand;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly telling: Telling;
  readonly timeoutMs: number;
}
