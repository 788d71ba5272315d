export { Backoff, type BackoffOptions, backoffDelayMs } from './backoff.ts';
export { type Clock, rfc3339, rfc3339Micro, sleep, systemClock, type Timer } from './clock.ts';
export { type CommandOptions, type CommandResult, runCommand } from './command.ts';
export { environmentVariable } from './environment.ts';
export { CodedError, InvariantError, invariant, messageOf } from './errors.ts';
export { type Closable, type Component, startInOrder } from './lifecycle.ts';
export { type Log, type LogLevel, openLog, silentLog } from './log.ts';
export { ManualClock } from './manual-clock.ts';
export { type Random, seededRandom, systemRandom } from './random.ts';
