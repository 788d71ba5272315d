import { readdirSync, readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { getHeapSpaceStatistics } from 'node:v8';
import type { Clock } from './clock.ts';
import { metricHead } from './metrics.ts';

type Type = 'counter' | 'gauge';

/** What every program of Prometheus' world says of its process, and Node's of its heap and event loop. */
export class ProcessGauges {
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });
  readonly #startedSeconds: number;

  constructor(clock: Clock) {
    this.#startedSeconds = clock.nowMs() / 1000 - process.uptime();
  }

  start(): void {
    this.#delay.enable();
  }

  close(): void {
    this.#delay.disable();
  }

  lines(): string[] {
    const { user, system } = process.cpuUsage();
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
    const lines: string[] = [];
    const one = (name: string, type: Type, help: string, value: number | undefined): void => {
      if (value !== undefined && Number.isFinite(value))
        lines.push(...metricHead(name, help, type), `${name} ${value}`);
    };
    const seconds = (nanoseconds: number): number => Math.max(0, Number((nanoseconds / 1e9).toFixed(6)));
    one('process_cpu_seconds_total', 'counter', 'Processor time used.', Number(((user + system) / 1e6).toFixed(3)));
    one('process_resident_memory_bytes', 'gauge', 'Memory held.', rss);
    one('process_virtual_memory_bytes', 'gauge', 'Addresses reserved.', virtualMemory());
    one('process_start_time_seconds', 'gauge', 'When the process began.', Number(this.#startedSeconds.toFixed(2)));
    one('process_open_fds', 'gauge', 'Files and sockets that are open.', openFiles());
    one('process_max_fds', 'gauge', 'Files and sockets that may be.', mostFiles());
    one('nodejs_heap_size_total_bytes', 'gauge', 'Heap that Node has.', heapTotal);
    one('nodejs_heap_size_used_bytes', 'gauge', 'Heap that Node uses.', heapUsed);
    one('nodejs_external_memory_bytes', 'gauge', 'Memory outside the heap that Node counts.', external);
    lines.push(...metricHead('nodejs_heap_space_size_used_bytes', 'Heap that Node uses, by space.', 'gauge'));
    for (const { space_name: name, space_used_size: used } of getHeapSpaceStatistics())
      lines.push(`nodejs_heap_space_size_used_bytes{space="${name.replace(/_space$/, '')}"} ${used}`);
    const { min, mean, max } = this.#delay;
    const some = this.#delay.count > 0;
    one('nodejs_eventloop_lag_min_seconds', 'gauge', 'Least delay of the event loop.', some ? seconds(min) : 0);
    one('nodejs_eventloop_lag_mean_seconds', 'gauge', 'Mean delay of the event loop.', some ? seconds(mean) : 0);
    one('nodejs_eventloop_lag_max_seconds', 'gauge', 'Greatest delay of the event loop.', some ? seconds(max) : 0);
    for (const rank of [50, 90, 99])
      one(
        `nodejs_eventloop_lag_p${rank}_seconds`,
        'gauge',
        `Delay of the event loop that ${rank} % stay below.`,
        seconds(this.#delay.percentile(rank)),
      );
    lines.push(...metricHead('nodejs_version_info', 'Version of Node; always 1.', 'gauge'));
    lines.push(`nodejs_version_info{version="${process.version}"} 1`);
    return lines;
  }
}

function virtualMemory(): number | undefined {
  const [pages] = textOf('/proc/self/statm').split(' ');
  return pages === undefined || pages === '' ? undefined : Number(pages) * 4096;
}

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}

function mostFiles(): number | undefined {
  const most = /^Max open files\s+(\d+)/m.exec(textOf('/proc/self/limits'))?.[1];
  return most === undefined ? undefined : Number(most);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
