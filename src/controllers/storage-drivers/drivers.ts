import { CodedError } from '#base';
import {
  type CSIDriver,
  type CSINode,
  type Node,
  type PersistentVolume,
  type Pod,
  resource,
  type Secret,
  type SecretReference,
} from '#api';
import type { Client, Informers } from '#client';
import { isNodeReady, isPodTerminal } from '#kinds';
import type { ControllerContext } from '../definition.ts';

/** The provisioner that every node serves: directories of its own disk. */
export const localProvisioner = 'k8ts.io/local';
export const provisionedBy = 'pv.kubernetes.io/provisioned-by';
/** On a CSIDriver: `built-in` or `external`, who does the work of its sidecars. */
export const controllerAnnotation = 'k8ts.io/csi-controller';
const simulatedLabel = 'k8ts.io/simulated';

/** A call of a driver failed. `code` is the name of a gRPC status, or DRIVER_MISSING. */
export class DriverError extends CodedError {}

/** Work that upstream leaves to a sidecar of a driver; the names are those of their images. */
export type Sidecar = 'csi-provisioner' | 'csi-attacher' | 'csi-resizer';

export interface StorageDrivers {
  readonly synced: Promise<unknown>;
  driver(name: string): CSIDriver | undefined;
  csiNode(nodeName: string): CSINode | undefined;
  /** Nodes on which the driver is registered. */
  nodesOf(driver: string): readonly string[];
  /** Whether this control plane does a sidecar's work for a driver: not where one is installed, or a CSIDriver says `external`. */
  isBuiltIn(driver: string, sidecar: Sidecar): boolean;
  /** Calls a driver's controller half on any node that serves it, the preferred one first. Throws DriverError, or ApiError when no node is reached. */
  call<R>(driver: string, method: string, request: object, preferred?: string): Promise<R>;
  /** What the driver's controller half can; empty when there is none. */
  capabilities(driver: string): Promise<ReadonlySet<string>>;
  secret(reference: SecretReference | undefined): Promise<Readonly<Record<string, string>>>;
  onChange(handler: () => void): () => void;
}

const csiDrivers = resource('storage.k8s.io/v1', 'csidrivers');
const csiNodes = resource('storage.k8s.io/v1', 'csinodes');
const capabilitiesKnownMs = 60_000;

const opened = new WeakMap<Informers, StorageDrivers>();

/** The storage drivers of a cluster, shared by the controllers that speak to them. Opened when first needed: most clusters have none. */
export function storageDrivers(context: ControllerContext): StorageDrivers {
  const present = opened.get(context.informers);
  if (present !== undefined) return present;
  const made = openStorageDrivers(context);
  opened.set(context.informers, made);
  return made;
}

function openStorageDrivers({ client, informers, clock }: ControllerContext): StorageDrivers {
  const driverInformer = informers.of<CSIDriver>(csiDrivers);
  const csiNodeInformer = informers.of<CSINode>(csiNodes);
  const nodeInformer = informers.of<Node>(resource('v1', 'nodes'));
  const podInformer = informers.of<Pod>(resource('v1', 'pods'));
  const known = new Map<string, { readonly found: ReadonlySet<string>; readonly untilMs: number }>();

  const nodesOf = (driver: string): string[] =>
    csiNodeInformer
      .list()
      .filter(({ spec }) => spec.drivers.some(({ name }) => name === driver))
      .map(({ metadata }) => metadata.name)
      .sort();

  async function call<R>(driver: string, method: string, request: object, preferred?: string): Promise<R> {
    const ready = (name: string): boolean => {
      const node = nodeInformer.get(undefined, name);
      return node !== undefined && isNodeReady(node);
    };
    const names = nodesOf(driver).filter(ready);
    const order =
      preferred !== undefined && names.includes(preferred)
        ? [preferred, ...names.filter((one) => one !== preferred)]
        : names;
    let last: unknown = new DriverError('DRIVER_MISSING', `driver ${driver} is registered on no node that is ready`);
    for (const name of order) {
      try {
        return await callDriver<R>(client, { nodeName: name, driver, method, request });
      } catch (error) {
        const elsewhere = !(error instanceof DriverError) || ['DRIVER_MISSING', 'UNIMPLEMENTED'].includes(error.code);
        if (!elsewhere) throw error;
        last = error;
      }
    }
    throw last;
  }

  return {
    synced: Promise.all([driverInformer.synced, csiNodeInformer.synced, nodeInformer.synced, podInformer.synced]),
    driver: (name) => driverInformer.get(undefined, name),
    csiNode: (name) => csiNodeInformer.get(undefined, name),
    nodesOf,
    isBuiltIn(driver, sidecar) {
      const said = driverInformer.get(undefined, driver)?.metadata.annotations?.[controllerAnnotation];
      if (said === 'built-in') return true;
      return said !== 'external' && !podInformer.list().some((pod) => runsSidecar(pod, sidecar));
    },
    call,
    async capabilities(driver) {
      const before = known.get(driver);
      if (before !== undefined && before.untilMs > clock.monotonicMs()) return before.found;
      const found = await call<{ capabilities: { rpc?: { type: string } | null }[] }>(
        driver,
        'ControllerGetCapabilities',
        {},
      ).then(
        (answer) => new Set(answer.capabilities.flatMap(({ rpc }) => (rpc ? [rpc.type] : []))),
        (error) => {
          if (error instanceof DriverError && error.code === 'UNIMPLEMENTED') return new Set<string>();
          throw error;
        },
      );
      known.set(driver, { found, untilMs: clock.monotonicMs() + capabilitiesKnownMs });
      return found;
    },
    async secret(reference) {
      if (reference?.name === undefined) return {};
      const { name, namespace = 'default' } = reference;
      const { data = {} } = await client.get<Secret>(resource('v1', 'secrets'), name, { namespace });
      return Object.fromEntries(
        Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
      );
    },
    onChange(handler) {
      const endings = [driverInformer.onChange(handler), csiNodeInformer.onChange(handler)];
      return () => {
        for (const end of endings) end();
      };
    },
  };
}

export interface DriverCall {
  readonly nodeName: string;
  readonly driver: string;
  readonly method: string;
  readonly request: object;
}

/** Asks the kubelet of a node to call a driver there. Throws DriverError with the driver's own status, ApiError when the node cannot be reached. */
export async function callDriver<R>(client: Client, { nodeName, driver, method, request }: DriverCall): Promise<R> {
  const target = `/api/v1/nodes/${encodeURIComponent(nodeName)}/proxy/storage/${driver.split('/').map(encodeURIComponent).join('/')}/${method}`;
  const answer = (await client.raw('POST', target, request)) as {
    readonly result?: R;
    readonly error?: { readonly code: string; readonly message: string };
  };
  if (answer.error !== undefined) throw new DriverError(answer.error.code, answer.error.message);
  return answer.result as R;
}

/** A pod that runs the program which upstream has for the work. For which driver cannot be seen, so one is enough. */
export function runsSidecar(pod: Pod, sidecar: Sidecar): boolean {
  if (isPodTerminal(pod)) return false;
  return pod.spec.containers.some(({ image = '' }) => {
    const name = image.split('@')[0]?.split('/').at(-1)?.split(':')[0];
    return name === sidecar;
  });
}

export function isSimulated(node: Node | undefined): boolean {
  return node?.metadata.labels?.[simulatedLabel] === 'true';
}

/** The one node that a local volume lies on, by the label in its affinity. */
export function hostnameOf({ spec }: PersistentVolume): string | undefined {
  for (const { matchExpressions = [] } of spec.nodeAffinity?.required?.nodeSelectorTerms ?? [])
    for (const { key, operator, values = [] } of matchExpressions)
      if (key === 'kubernetes.io/hostname' && operator === 'In' && values.length === 1) return values[0];
  return undefined;
}

/** Tells a failure that trying again may cure from one that has certainly changed nothing. */
export function mayStillRun(error: unknown): boolean {
  if (!(error instanceof DriverError)) return true;
  return ['CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE', 'ABORTED', 'UNKNOWN'].includes(error.code);
}
