/**
 * A small CSI driver for tests, written by the book: volumes are directories below --data, staged and published by bind mounts, attached by
 * a record. All it knows is in files, so it can be killed and started again. Each call is a line of --data/calls.log.
 *
 *   node csi-driver.ts --name example.test --node NODE --socket PATH --registration PATH --data DIR
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Server, ServerCredentials, type ServiceDefinition, status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { csiProtocol } from '../../../src/kubelet/volumes/csi/driver.ts';
import { registrationSchema } from '../../../src/kubelet/volumes/csi/registration.ts';

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { name: text, node: text, socket: text, registration: text, data: text, zone: text },
});
const { name = '', node = '', socket = '', registration = '', data = '', zone } = values;

interface Volume {
  bytes: number;
  attached: string[];
  /** What the file system was told to be. */
  nodeBytes: number;
}
type Request = Record<string, any>;
type Handler = (request: Request) => object;

class Refusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const place = (id: string): string => {
  if (!/^[a-z0-9-]+$/.test(id)) throw new Refusal(status.INVALID_ARGUMENT, `not a volume id: ${id}`);
  return join(data, 'volumes', id);
};
const load = (id: string): Volume => {
  const file = join(place(id), 'record.json');
  if (!existsSync(file)) throw new Refusal(status.NOT_FOUND, `no volume ${id}`);
  return JSON.parse(readFileSync(file, 'utf8')) as Volume;
};
const save = (id: string, volume: Volume): void => {
  const file = join(place(id), 'record.json');
  writeFileSync(`${file}.new`, JSON.stringify(volume));
  renameSync(`${file}.new`, file);
};
const isMounted = (path: string): boolean =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === path);
const bind = (from: string, to: string, readOnly: boolean): void => {
  mkdirSync(to, { recursive: true });
  if (isMounted(to)) return;
  execFileSync('mount', ['--bind', from, to]);
  if (readOnly) execFileSync('mount', ['-o', 'remount,bind,ro', to]);
};
const unbind = (path: string): void => {
  if (isMounted(path)) execFileSync('umount', [path]);
  if (existsSync(path)) rmdirSync(path);
};

const handlers: Record<string, Record<string, Handler>> = {
  'csi.v1.Identity': {
    GetPluginInfo: () => ({ name, vendor_version: '1' }),
    Probe: () => ({ ready: { value: true } }),
    GetPluginCapabilities: () => ({
      capabilities: ['CONTROLLER_SERVICE', 'VOLUME_ACCESSIBILITY_CONSTRAINTS'].map((type) => ({ service: { type } })),
    }),
  },
  'csi.v1.Controller': {
    ControllerGetCapabilities: () => ({
      capabilities: ['CREATE_DELETE_VOLUME', 'PUBLISH_UNPUBLISH_VOLUME', 'EXPAND_VOLUME', 'GET_CAPACITY'].map(
        (type) => ({
          rpc: { type },
        }),
      ),
    }),
    GetCapacity: () => ({ available_capacity: 5 * 2 ** 30 }),
    CreateVolume(request) {
      const id = String(request.name);
      const bytes = Number(request.capacity_range?.required_bytes ?? 0);
      if (!existsSync(place(id))) {
        mkdirSync(join(place(id), 'data'), { recursive: true });
        save(id, { bytes, attached: [], nodeBytes: bytes });
      }
      if (request.parameters?.secret === 'yes' && request.secrets?.token !== 'sesame')
        throw new Refusal(status.UNAUTHENTICATED, 'the secret is missing');
      return { volume: { volume_id: id, capacity_bytes: load(id).bytes, volume_context: { made: 'here' } } };
    },
    DeleteVolume({ volume_id }) {
      const id = String(volume_id);
      if (!existsSync(place(id))) return {};
      if (load(id).attached.length > 0) throw new Refusal(status.FAILED_PRECONDITION, `volume ${id} is attached`);
      rmSync(place(id), { recursive: true });
      return {};
    },
    ControllerPublishVolume({ volume_id, node_id }) {
      const volume = load(volume_id);
      const others = volume.attached.filter((one) => one !== node_id);
      if (others.length > 0)
        throw new Refusal(status.FAILED_PRECONDITION, `volume ${volume_id} is attached to ${others}`);
      save(volume_id, { ...volume, attached: [node_id] });
      return { publish_context: { device: `disk-${volume_id}` } };
    },
    ControllerUnpublishVolume({ volume_id, node_id }) {
      const volume = load(volume_id);
      save(volume_id, { ...volume, attached: volume.attached.filter((one) => one !== node_id) });
      return {};
    },
    ControllerExpandVolume({ volume_id, capacity_range }) {
      const bytes = Number(capacity_range.required_bytes);
      save(volume_id, { ...load(volume_id), bytes });
      return { capacity_bytes: bytes, node_expansion_required: true };
    },
  },
  'csi.v1.Node': {
    NodeGetInfo: () => ({
      node_id: `id-${node}`,
      max_volumes_per_node: 8,
      ...(zone === undefined ? {} : { accessible_topology: { segments: { 'example.test/zone': zone } } }),
    }),
    NodeGetCapabilities: () => ({
      capabilities: ['STAGE_UNSTAGE_VOLUME', 'EXPAND_VOLUME'].map((type) => ({ rpc: { type } })),
    }),
    NodeStageVolume({ volume_id, staging_target_path, publish_context }) {
      if (publish_context?.device !== `disk-${volume_id}`)
        throw new Refusal(status.FAILED_PRECONDITION, 'the volume is not attached');
      bind(join(place(volume_id), 'data'), staging_target_path, false);
      return {};
    },
    NodeUnstageVolume({ staging_target_path }) {
      if (isMounted(staging_target_path)) execFileSync('umount', [staging_target_path]);
      return {};
    },
    NodePublishVolume({ volume_id, staging_target_path, target_path, readonly, volume_context }) {
      if (volume_context?.['csi.storage.k8s.io/ephemeral'] === 'true') {
        mkdirSync(join(place(volume_id), 'data'), { recursive: true });
        writeFileSync(join(place(volume_id), 'data', 'pod'), String(volume_context['csi.storage.k8s.io/pod.name']));
        bind(join(place(volume_id), 'data'), target_path, false);
        return {};
      }
      if (!isMounted(staging_target_path)) throw new Refusal(status.FAILED_PRECONDITION, 'the volume is not staged');
      bind(staging_target_path, target_path, readonly === true);
      return {};
    },
    NodeUnpublishVolume({ target_path }) {
      unbind(target_path);
      return {};
    },
    NodeExpandVolume({ volume_id, volume_path, capacity_range }) {
      if (!isMounted(volume_path)) throw new Refusal(status.NOT_FOUND, `${volume_path} is not mounted`);
      const nodeBytes = Number(capacity_range.required_bytes);
      save(volume_id, { ...load(volume_id), nodeBytes });
      return { capacity_bytes: nodeBytes };
    },
  },
  'pluginregistration.Registration': {
    GetInfo: () => ({ type: 'CSIPlugin', name, endpoint: socket, supported_versions: ['1.0.0'] }),
    NotifyRegistrationStatus: () => ({}),
  },
};

function serve(path: string, root: protobuf.Root, services: readonly string[]): void {
  const server = new Server();
  for (const service of services) {
    const { methods } = root.lookupService(service);
    const definition: Record<string, object> = {};
    const implementation: Record<string, any> = {};
    for (const [method, handler] of Object.entries(handlers[service] ?? {})) {
      const { resolvedRequestType: input, resolvedResponseType: output } = (
        methods[method] as protobuf.Method
      ).resolve() as protobuf.Method;
      if (!input || !output) throw new Error(method);
      definition[method] = {
        path: `/${service}/${method}`,
        requestStream: false,
        responseStream: false,
        requestDeserialize: (bytes: Buffer) => input.toObject(input.decode(bytes), { longs: Number, enums: String }),
        responseSerialize: (value: object) => Buffer.from(output.encode(output.fromObject(value)).finish()),
        requestSerialize: () => Buffer.alloc(0),
        responseDeserialize: () => ({}),
      };
      implementation[method] = (
        { request }: { request: Request },
        answer: (error: object | null, value?: object) => void,
      ) => {
        try {
          const value = handler(request);
          note(method, 'OK', request);
          answer(null, value);
        } catch (error) {
          const code = error instanceof Refusal ? error.code : status.INTERNAL;
          note(method, String(error), request);
          answer({ code, details: String(error) });
        }
      };
    }
    server.addService(definition as unknown as ServiceDefinition, implementation);
  }
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  server.bindAsync(`unix://${path}`, ServerCredentials.createInsecure(), (error) => {
    if (error !== null) throw error;
  });
}

function note(method: string, outcome: string, { secrets: _, ...request }: Request): void {
  appendFileSync(join(data, 'calls.log'), `${JSON.stringify({ node, method, outcome, request })}\n`);
}

mkdirSync(join(data, 'volumes'), { recursive: true });
serve(socket, csiProtocol(), ['csi.v1.Identity', 'csi.v1.Controller', 'csi.v1.Node']);
serve(registration, protobuf.Root.fromJSON(registrationSchema), ['pluginregistration.Registration']);
process.on('SIGTERM', () => {
  for (const path of [registration, socket]) rmSync(path, { force: true });
  process.exit(0);
});
console.log(`serving ${readdirSync(join(data, 'volumes')).length} volumes`);
