import type { ServerResponse } from 'node:http';
import { realpath } from 'node:fs/promises';
import { type Clock, rfc3339 } from '#base';
import type { Pod } from '#api';
import type { ContainerStatus, Cri } from '../cri/contract.ts';
import { containerNameLabel } from '../cri/names.ts';
import { type LogOptions, readLog } from '../logs/reader.ts';
import { findContainer } from '../pods/containers.ts';
import { StreamingError } from './streaming.ts';

/** Reads the query of a log request. Throws StreamingError 400. */
export function logOptions(query: URLSearchParams, clock: Clock): LogOptions {
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    const value = Number(text);
    if (!Number.isInteger(value)) throw new StreamingError(400, `${name} must be a whole number`);
    return value;
  };
  const tailLines = number('tailLines');
  const limitBytes = number('limitBytes');
  const sinceSeconds = number('sinceSeconds');
  const sinceTime = sinceSeconds === undefined ? query.get('sinceTime') : rfc3339(clock.nowMs() - sinceSeconds * 1000);
  const stream = query.get('stream')?.toLowerCase();
  return {
    follow: query.get('follow') === 'true',
    timestamps: query.get('timestamps') === 'true',
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceTime ? { sinceTime } : {}),
    ...(stream === 'stdout' || stream === 'stderr' ? { stream } : {}),
  };
}

/** The run of a container whose log is asked for: its newest, or the one before. Throws StreamingError with upstream's words. */
export async function findRun(
  cri: Cri,
  asked: { readonly pod: Pod; readonly container: string; readonly previous: boolean },
): Promise<ContainerStatus> {
  const { pod, container: name, previous } = asked;
  const container = findContainer(pod, name);
  if (container === undefined)
    throw new StreamingError(400, `container ${name} is not valid for pod ${pod.metadata.name}`);
  const listed = (await cri.listContainers({ podUid: pod.metadata.uid }))
    .filter(({ labels }) => labels[containerNameLabel] === name)
    .sort((a, b) => b.metadata.attempt - a.metadata.attempt || b.created_at - a.created_at);
  const [latest, before] = listed;
  if (previous) {
    const ended = latest !== undefined && latest.state === 'CONTAINER_EXITED' && isWaiting(pod, name) ? latest : before;
    if (ended === undefined)
      throw new StreamingError(400, `previous terminated container "${name}" in pod "${pod.metadata.name}" not found`);
    return cri.containerStatus(ended.id);
  }
  if (latest === undefined || latest.state === 'CONTAINER_CREATED') {
    const statuses = [
      ...(pod.status?.containerStatuses ?? []),
      ...(pod.status?.initContainerStatuses ?? []),
      ...(pod.status?.ephemeralContainerStatuses ?? []),
    ];
    const waiting = statuses.find((one) => one.name === name)?.state?.waiting;
    const imageTrouble = waiting?.reason === 'ImagePullBackOff' || waiting?.reason === 'ErrImagePull';
    const why = imageTrouble ? 'trying and failing to pull image' : (waiting?.reason ?? 'ContainerCreating');
    throw new StreamingError(400, `container "${name}" in pod "${pod.metadata.name}" is waiting to start: ${why}`);
  }
  return cri.containerStatus(latest.id);
}

function isWaiting(pod: Pod, name: string): boolean {
  return pod.status?.containerStatuses?.find((one) => one.name === name)?.state?.waiting !== undefined;
}

/** The text of one run's log. Throws StreamingError when there is none, or when it lies outside the log directory. */
export async function openLog(options: {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly podLogsDir: string;
  readonly run: ContainerStatus;
  readonly options: LogOptions;
  readonly signal: AbortSignal;
}): Promise<AsyncIterable<Uint8Array>> {
  const { cri, clock, podLogsDir, run, signal } = options;
  const [path, root] = await Promise.all([realpath(run.log_path).catch(() => undefined), realpath(podLogsDir)]);
  if (path === undefined)
    throw new StreamingError(500, `failed to open log of container ${run.id}: it is not there (yet)`);
  if (!path.startsWith(`${root}/`)) throw new StreamingError(403, 'the log leads out of the log directory');
  const running = async (): Promise<boolean> => {
    const status = await cri.containerStatus(run.id).catch(() => undefined);
    return status?.state === 'CONTAINER_RUNNING';
  };
  return readLog({ path, clock, running, signal }, options.options);
}

/** Sends text as it comes, no faster than the client reads. */
export async function sendChunks(response: ServerResponse, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Transfer-Encoding': 'chunked' });
  response.flushHeaders();
  for await (const piece of chunks) {
    if (!response.write(piece)) await drained(response);
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
