import { Client, credentials, Metadata, type ServiceError, status as grpcStatus } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { type Clock, type Log, sleep } from '#base';
import type {
  ContainerStats,
  ContainerStatus,
  Cri,
  FilesystemUsage,
  Image,
  ListedContainer,
  RuntimeCondition,
  RuntimeEvent,
  Sandbox,
  SandboxStatus,
} from './contract.ts';
import { containerdEventsPath, decodeContainerdEvent } from './containerd-events.ts';
import schema from './cri_v1.json' with { type: 'json' };
import { CriError } from './errors.ts';
import { measureOperation } from './operation-metrics.ts';

export interface CriOptions {
  /** Path of the runtime's socket, with or without `unix://`. */
  readonly socket: string;
  readonly clock: Clock;
  readonly log: Log;
}

type Call = <R>(method: string, request: object, timeoutMs?: number) => Promise<R>;

const quickMs = 10_000;
const workMs = 120_000;
const sandboxMs = 240_000;
/** Pulls are ended by the runtime's own progress timeout; this one only keeps a dead call from living for ever. */
const pullMs = 3_600_000;
const largestMessage = 64 << 20;

const codec = { longs: Number, enums: String, defaults: true, arrays: true, objects: true } as const;

/** Opens a CRI v1 client. Connects lazily and again whenever the runtime comes back. */
export function openCri(options: CriOptions): Cri {
  const { clock, log } = options;
  const root = protobuf.Root.fromJSON(schema as protobuf.INamespace);
  const channel = new Client(
    options.socket.startsWith('unix:') ? options.socket : `unix://${options.socket}`,
    credentials.createInsecure(),
    {
      'grpc.max_receive_message_length': largestMessage,
      'grpc.max_send_message_length': largestMessage,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 3000,
      'grpc.enable_http_proxy': 0,
      'grpc.default_authority': 'localhost',
    },
  );
  const runtime = callsOf(channel, root, 'RuntimeService', clock);
  const images = callsOf(channel, root, 'ImageService', clock);
  const selector = (podUid?: string): object =>
    podUid === undefined ? {} : { filter: { label_selector: { 'io.kubernetes.pod.uid': podUid } } };

  return {
    version: () => runtime('Version', { version: '' }, quickMs),
    status: async () =>
      (await runtime<{ status?: { conditions: RuntimeCondition[] } }>('Status', {}, quickMs)).status?.conditions ?? [],
    runPodSandbox: async (config, runtimeHandler = '') =>
      (
        await runtime<{ pod_sandbox_id: string }>(
          'RunPodSandbox',
          { config, runtime_handler: runtimeHandler },
          sandboxMs,
        )
      ).pod_sandbox_id,
    stopPodSandbox: (id) => runtime('StopPodSandbox', { pod_sandbox_id: id }, workMs),
    removePodSandbox: (id) => runtime('RemovePodSandbox', { pod_sandbox_id: id }, workMs),
    podSandboxStatus: async (id) =>
      (await runtime<{ status: SandboxStatus }>('PodSandboxStatus', { pod_sandbox_id: id }, quickMs)).status,
    listPodSandboxes: async (filter) =>
      (await runtime<{ items: Sandbox[] }>('ListPodSandbox', selector(filter?.podUid), quickMs)).items,
    createContainer: async (sandboxId, config, sandbox) =>
      (
        await runtime<{ container_id: string }>(
          'CreateContainer',
          { pod_sandbox_id: sandboxId, config, sandbox_config: sandbox },
          workMs,
        )
      ).container_id,
    startContainer: (id) => runtime('StartContainer', { container_id: id }, workMs),
    stopContainer: (id, graceSeconds) =>
      runtime('StopContainer', { container_id: id, timeout: graceSeconds }, graceSeconds * 1000 + workMs),
    removeContainer: (id) => runtime('RemoveContainer', { container_id: id }, workMs),
    listContainers: async (filter) =>
      (await runtime<{ containers: ListedContainer[] }>('ListContainers', selector(filter?.podUid), quickMs))
        .containers,
    containerStatus: async (id) =>
      (await runtime<{ status: ContainerStatus }>('ContainerStatus', { container_id: id }, quickMs)).status,
    updateContainerResources: (id, linux) => runtime('UpdateContainerResources', { container_id: id, linux }, workMs),
    reopenContainerLog: (id) => runtime('ReopenContainerLog', { container_id: id }, quickMs),
    execSync: (id, command, timeoutSeconds) =>
      runtime(
        'ExecSync',
        { container_id: id, cmd: command, timeout: timeoutSeconds },
        timeoutSeconds > 0 ? timeoutSeconds * 1000 + quickMs : pullMs,
      ),
    execUrl: async (request) => (await runtime<{ url: string }>('Exec', request, quickMs)).url,
    attachUrl: async (request) => (await runtime<{ url: string }>('Attach', request, quickMs)).url,
    portForwardUrl: async (sandboxId, ports) =>
      (await runtime<{ url: string }>('PortForward', { pod_sandbox_id: sandboxId, port: ports }, quickMs)).url,
    imageStatus: async (image) => {
      const answer = await images<{ image?: Image | null }>('ImageStatus', { image: { image } }, quickMs);
      return answer.image === null || answer.image === undefined || answer.image.id === '' ? undefined : answer.image;
    },
    listImages: async () => (await images<{ images: Image[] }>('ListImages', {}, quickMs)).images,
    pullImage: async (image, auth, sandbox) =>
      (await images<{ image_ref: string }>('PullImage', { image: { image }, auth, sandbox_config: sandbox }, pullMs))
        .image_ref,
    removeImage: (image) => images('RemoveImage', { image: { image } }, workMs),
    imageFsInfo: async () =>
      (await images<{ image_filesystems: FilesystemUsage[] }>('ImageFsInfo', {}, quickMs)).image_filesystems,
    listContainerStats: async () =>
      (await runtime<{ stats: ContainerStats[] }>('ListContainerStats', {}, quickMs)).stats,
    watchEvents: (onEvent, signal) => void followEvents({ channel, root, clock, log, onEvent, signal }),
    close: () => channel.close(),
  };
}

function callsOf(channel: Client, root: protobuf.Root, service: string, clock: Clock): Call {
  const methods = root.lookupService(`runtime.v1.${service}`).methods;
  const prepared = new Map(
    Object.entries(methods).map(([name, method]) => {
      method.resolve();
      const request = method.resolvedRequestType as protobuf.Type;
      const response = method.resolvedResponseType as protobuf.Type;
      return [
        name,
        {
          path: `/runtime.v1.${service}/${name}`,
          encode: (value: object): Buffer => Buffer.from(request.encode(request.fromObject(value)).finish()),
          decode: (bytes: Buffer): object => response.toObject(response.decode(bytes), codec),
        },
      ];
    }),
  );
  return <R>(name: string, request: object, timeoutMs = quickMs): Promise<R> => {
    const method = prepared.get(name);
    if (method === undefined) throw new TypeError(`CRI has no method ${name}`);
    const measured = measureOperation(name, clock);
    return new Promise((resolve, reject) => {
      channel.makeUnaryRequest<object, object>(
        method.path,
        method.encode,
        method.decode,
        request,
        new Metadata(),
        { deadline: clock.nowMs() + timeoutMs },
        (error, value) => {
          measured(error === null);
          if (error === null) resolve(value as R);
          else reject(criErrorOf(error));
        },
      );
    });
  };
}

function criErrorOf(error: ServiceError): CriError {
  return new CriError(grpcStatus[error.code] ?? 'UNKNOWN', error.details || error.message, { cause: error });
}

interface FollowOptions {
  readonly channel: Client;
  readonly root: protobuf.Root;
  readonly clock: Clock;
  readonly log: Log;
  readonly onEvent: (event: RuntimeEvent) => void;
  readonly signal: AbortSignal;
}

/** CRI's own event stream where the runtime has it, else containerd's; both only say where to look again. */
async function followEvents(options: FollowOptions): Promise<void> {
  const { channel, root, clock, log, onEvent, signal } = options;
  const response = root.lookupType('runtime.v1.ContainerEventResponse');
  const decodeCriEvent = (bytes: Buffer): RuntimeEvent | undefined => {
    const event = response.toObject(response.decode(bytes), codec) as {
      container_id: string;
      pod_sandbox_status?: { metadata?: { uid: string } } | null;
    };
    const podUid = event.pod_sandbox_status?.metadata?.uid;
    return podUid === undefined ? { containerId: event.container_id } : { containerId: event.container_id, podUid };
  };
  const sources = [
    { path: '/runtime.v1.RuntimeService/GetContainerEvents', decode: decodeCriEvent },
    { path: containerdEventsPath, decode: decodeContainerdEvent },
  ];
  let source = 0;
  while (!signal.aborted) {
    const { path, decode } = sources[source] as (typeof sources)[number];
    const code = await new Promise<number>((resolve) => {
      const metadata = new Metadata();
      metadata.set('containerd-namespace', 'k8s.io');
      const call = channel.makeServerStreamRequest<Uint8Array, RuntimeEvent | undefined>(
        path,
        (bytes) => Buffer.from(bytes),
        decode,
        new Uint8Array(0),
        metadata,
      );
      const abort = (): void => call.cancel();
      signal.addEventListener('abort', abort, { once: true });
      call.on('data', (event: RuntimeEvent | undefined) => event !== undefined && onEvent(event));
      call.on('error', () => {});
      call.on('status', (end) => {
        signal.removeEventListener('abort', abort);
        resolve(end.code);
      });
    });
    if (signal.aborted) return;
    if (code === grpcStatus.UNIMPLEMENTED) source++;
    if (source === sources.length) {
      log.info({}, 'the runtime has no event stream; containers are listed every second instead');
      return;
    }
    if (code !== grpcStatus.UNIMPLEMENTED) await sleep(clock, 1000, signal).catch(() => {});
  }
}
