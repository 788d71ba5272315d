import protobuf from 'protobufjs';
import type { Clock } from '#base';
import schema from './csi_v1.json' with { type: 'json' };
import { type GrpcCall, openGrpcChannel } from './grpc-service.ts';

/** Container Storage Interface v1, as far as it is used here; names are the protocol's. */
export interface VolumeCapability {
  readonly mount?: {
    readonly fs_type: string;
    readonly mount_flags: readonly string[];
    readonly volume_mount_group?: string;
  };
  readonly block?: Record<string, never>;
  readonly access_mode: { readonly mode: string };
}

export interface Topology {
  readonly segments: Readonly<Record<string, string>>;
}

export interface NodeInfo {
  readonly node_id: string;
  readonly max_volumes_per_node: number;
  readonly accessible_topology?: Topology | null;
}

export interface CsiDriver {
  readonly name: string;
  readonly socket: string;
  readonly nodeInfo: NodeInfo;
  /** `STAGE_UNSTAGE_VOLUME`, `EXPAND_VOLUME`, … */
  readonly nodeCapabilities: ReadonlySet<string>;
  readonly node: GrpcCall;
  readonly controller: GrpcCall;
  readonly identity: GrpcCall;
  close(): void;
}

const quickMs = 10_000;

let protocol: protobuf.Root | undefined;

/** The protocol, with the well-known types that it refers to. */
export function csiProtocol(): protobuf.Root {
  if (protocol !== undefined) return protocol;
  const known = ['wrappers', 'timestamp'].map(
    (name) => protobuf.common.get(`google/protobuf/${name}.proto`)?.nested?.google as protobuf.INamespace,
  );
  const types = known.map(({ nested }) => (nested?.protobuf as protobuf.INamespace).nested);
  const google = {
    nested: { protobuf: { nested: Object.assign({}, ...types) as protobuf.INamespace['nested'] & {} } },
  };
  const root = protobuf.Root.fromJSON({ nested: { ...(schema as protobuf.INamespace).nested, google } });
  protocol = root;
  return root;
}

/** Asks the driver behind a socket who it is and what it can. Throws DriverError when it does not answer. */
export async function openCsiDriver(options: { readonly socket: string; readonly clock: Clock }): Promise<CsiDriver> {
  const { socket, clock } = options;
  const channel = openGrpcChannel({ socket, root: csiProtocol(), clock });
  try {
    const identity = channel.service('csi.v1.Identity');
    const node = channel.service('csi.v1.Node');
    const { name } = await identity<{ name: string }>('GetPluginInfo', {}, quickMs);
    const [nodeInfo, capabilities] = await Promise.all([
      node<NodeInfo>('NodeGetInfo', {}, quickMs),
      node<{ capabilities: { rpc?: { type: string } | null }[] }>('NodeGetCapabilities', {}, quickMs),
    ]);
    return {
      name,
      socket,
      nodeInfo,
      nodeCapabilities: new Set(capabilities.capabilities.flatMap(({ rpc }) => (rpc ? [rpc.type] : []))),
      node,
      controller: channel.service('csi.v1.Controller'),
      identity,
      close: () => channel.close(),
    };
  } catch (error) {
    channel.close();
    throw error;
  }
}

/** The protocol's word for a volume's access modes. */
export function accessModeOf(modes: readonly string[], singleNodeMultiWriter: boolean): string {
  if (modes.includes('ReadWriteMany')) return 'MULTI_NODE_MULTI_WRITER';
  if (modes.includes('ReadOnlyMany'))
    return modes.includes('ReadWriteOnce') ? 'MULTI_NODE_SINGLE_WRITER' : 'MULTI_NODE_READER_ONLY';
  if (modes.includes('ReadWriteOncePod'))
    return singleNodeMultiWriter ? 'SINGLE_NODE_SINGLE_WRITER' : 'SINGLE_NODE_WRITER';
  return singleNodeMultiWriter ? 'SINGLE_NODE_MULTI_WRITER' : 'SINGLE_NODE_WRITER';
}
