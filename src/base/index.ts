export { Backoff, type BackoffOptions, backoffDelayMs } from './backoff.ts';
export { type Clock, rfc3339, rfc3339Micro, sleep, systemClock, type Timer } from './clock.ts';
export { type CommandOptions, type CommandResult, runCommand } from './command.ts';
export { makeDirectory, makeDirectorySync } from './directories.ts';
export { environmentVariable } from './environment.ts';
export { CodedError, InvariantError, invariant, messageOf } from './errors.ts';
export { type Closable, type Component, startInOrder } from './lifecycle.ts';
export { type Log, type LogLevel, openLog, silentLog } from './log.ts';
export { ManualClock } from './manual-clock.ts';
export {
  Histogram,
  type HistogramMetric,
  type HistogramOptions,
  type HistogramSeries,
  labelText,
  metricHead,
  type MetricOptions,
  MetricRegistry,
  type MetricSeries,
  processMetrics,
  type ValueMetric,
} from './metrics.ts';
export { nodeHttp } from './node-http.ts';
export { ProcessGauges } from './process-metrics.ts';
export { type Random, seededRandom, systemRandom } from './random.ts';
export { isAlive, type ProcessRecord, processRecord, readProcess } from './process-record.ts';
export { type SupervisedProgram, type SupervisorOptions, startSupervisor, superviseUntilSignal } from './supervisor.ts';
