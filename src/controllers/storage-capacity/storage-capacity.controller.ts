import {
  type CSIStorageCapacity,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  resource,
  type StorageClass,
} from '#api';
import { changesOf, type Outcome, type RunningController, startController } from '#client';
import { isNodeReady } from '#kinds';
import { fnv32a, isAlreadyExists, isNotFound, quantityValue } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import {
  callDriver,
  hostnameOf,
  isSimulated,
  localProvisioner,
  type StorageDrivers,
  storageDrivers,
} from '../storage-drivers/drivers.ts';

const capacities = resource('storage.k8s.io/v1', 'csistoragecapacities');
const namespace = 'kube-system';
const refreshMs = 60_000;
const selectedNode = 'volume.kubernetes.io/selected-node';
const hostnameLabel = 'kubernetes.io/hostname';

/**
 * Says how much room nodes have for volumes of the local provisioner, and of CSI drivers that want it and have no sidecar: a
 * CSIStorageCapacity a class and node, while a claim of the class exists. The scheduler gives no pod to a node where its volume would not fit.
 */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const claimInformer = informers.of<PersistentVolumeClaim>(resource('v1', 'persistentvolumeclaims'));
  const volumeInformer = informers.of<PersistentVolume>(resource('v1', 'persistentvolumes'));
  const classInformer = informers.of<StorageClass>(resource('storage.k8s.io/v1', 'storageclasses'));
  const nodeInformer = informers.of<Node>(resource('v1', 'nodes'));

  let stopDrivers: (() => void) | undefined;
  let watching = false;
  let part: RunningController | undefined;

  /** The drivers of the cluster, asked for with the first class of one. */
  function drivers(): StorageDrivers {
    const found = storageDrivers(context);
    if (watching) return found;
    watching = true;
    stopDrivers = found.onChange(() => {
      for (const { metadata } of classInformer.list()) for (const key of everyNode(metadata.name)) part?.enqueue(key);
    });
    return found;
  }

  /** Whether what is said of a class' room is said here. */
  function isOurs(className: string | undefined): boolean {
    const provisioner = classInformer.get(undefined, className ?? '')?.provisioner;
    if (provisioner === undefined || provisioner === localProvisioner) return provisioner !== undefined;
    if (provisioner.includes('/')) return false;
    const known = drivers();
    return known.driver(provisioner)?.spec.storageCapacity === true && known.isBuiltIn(provisioner, 'csi-provisioner');
  }

  const isLocal = (className: string | undefined): boolean =>
    classInformer.get(undefined, className ?? '')?.provisioner === localProvisioner;
  const inUse = (className: string): boolean =>
    claimInformer.list().some(({ spec }) => spec.storageClassName === className);
  const keyFor = (className: string, nodeName: string): string => `${className}/${nodeName}`;
  const everyNode = (className: string | undefined): string[] =>
    isOurs(className) ? nodeInformer.list().map(({ metadata }) => keyFor(className as string, metadata.name)) : [];

  /** Keys that are looked at again by themselves. */
  const kept = new Set<string>();

  async function reconcile(key: string): Promise<Outcome> {
    kept.delete(key);
    const [className = '', nodeName = ''] = key.split('/');
    const node = nodeInformer.get(undefined, nodeName);
    if (!isOurs(className) || !inUse(className)) return;
    if (node === undefined) return remove(className, nodeName);
    if (isNodeReady(node)) {
      const bytes = await available(className, node);
      if (bytes === undefined) return remove(className, nodeName);
      await publish(className, node, bytes);
    }
    kept.add(key);
    return { requeueAfterMs: refreshMs };
  }

  /** Undefined: the driver is not on the node. */
  async function available(className: string, node: Node): Promise<number | undefined> {
    const { provisioner = '', parameters = {} } = classInformer.get(undefined, className) ?? {};
    if (provisioner !== localProvisioner) return availableToDriver({ provisioner, parameters, node });
    if (isSimulated(node)) {
      const hostname = node.metadata.labels?.[hostnameLabel];
      const promised = volumeInformer
        .list()
        .filter((one) => hostnameOf(one) === hostname)
        .reduce((sum, { spec }) => sum + quantityValue(spec.capacity?.storage ?? '0'), 0);
      return Math.max(0, quantityValue(node.status?.allocatable?.['ephemeral-storage'] ?? '0') - promised);
    }
    const request = { nodeName: node.metadata.name, driver: localProvisioner, method: 'GetCapacity', request: {} };
    return (await callDriver<{ available_capacity: number }>(client, request)).available_capacity;
  }

  async function availableToDriver(asked: {
    readonly provisioner: string;
    readonly parameters: Readonly<Record<string, string>>;
    readonly node: Node;
  }): Promise<number | undefined> {
    const { provisioner: driver, parameters, node } = asked;
    const nodeName = node.metadata.name;
    const keys = drivers()
      .csiNode(nodeName)
      ?.spec.drivers.find(({ name }) => name === driver)?.topologyKeys;
    if (!drivers().nodesOf(driver).includes(nodeName)) return undefined;
    const own = Object.entries(parameters).filter(([key]) => !key.startsWith('csi.storage.k8s.io/'));
    const segments = Object.fromEntries((keys ?? []).map((key) => [key, node.metadata.labels?.[key] ?? '']));
    const request = { parameters: Object.fromEntries(own), accessible_topology: { segments } };
    const call = { nodeName, driver, method: 'GetCapacity', request };
    return (await callDriver<{ available_capacity: number }>(client, call)).available_capacity;
  }

  const nameOf = (className: string, nodeName: string): string =>
    `k8ts-${fnv32a(className).toString(16)}-${nodeName.length > 200 ? fnv32a(nodeName).toString(16) : nodeName}`;

  async function publish(className: string, { metadata }: Node, bytes: number): Promise<void> {
    const name = nameOf(className, metadata.name);
    // Whole mebibytes: a byte that comes or goes is no news.
    const capacity = `${Math.floor(bytes / (1 << 20))}Mi`;
    const present = await client.get<CSIStorageCapacity>(capacities, name, { namespace }).catch((error) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (present?.capacity === capacity) return;
    if (present !== undefined) {
      await client.update<CSIStorageCapacity>(capacities, { ...present, capacity });
      return;
    }
    const hostname = metadata.labels?.[hostnameLabel] ?? metadata.name;
    await client
      .create<CSIStorageCapacity>(capacities, {
        metadata: {
          name,
          namespace,
          labels: { 'csi.storage.k8s.io/managed-by': 'k8ts' },
          ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: metadata.name, uid: metadata.uid }],
        },
        storageClassName: className,
        nodeTopology: { matchLabels: { [hostnameLabel]: hostname } },
        capacity,
      })
      .catch((error) => {
        if (!isAlreadyExists(error)) throw error;
      });
  }

  async function remove(className: string, nodeName: string): Promise<void> {
    await client.delete(capacities, nameOf(className, nodeName), { namespace }).catch((error) => {
      if (!isNotFound(error)) throw error;
    });
  }

  part = startController({
    name: 'storage-capacity',
    clock,
    log,
    needs: [claimInformer.synced, volumeInformer.synced, classInformer.synced, nodeInformer.synced],
    sources: [
      changesOf(claimInformer, ({ spec }, { type, old, object }) => {
        if (type === 'added') return everyNode(spec.storageClassName).filter((key) => !kept.has(key));
        // Where a directory was made, its volume tells; of a driver's volume nobody knows where it takes room.
        const bound = type === 'updated' && old?.spec.volumeName !== spec.volumeName;
        if (bound && !isLocal(spec.storageClassName)) return everyNode(spec.storageClassName);
        // A node that had to refuse a claim had less room than was said.
        const refused = old?.metadata.annotations?.[selectedNode];
        return refused !== undefined &&
          object.metadata.annotations?.[selectedNode] === undefined &&
          isOurs(spec.storageClassName)
          ? keyFor(spec.storageClassName as string, refused)
          : undefined;
      }),
      changesOf(nodeInformer, (node, { type, old }) => {
        const news = type !== 'updated' || (old !== undefined && isNodeReady(old) !== isNodeReady(node));
        return news
          ? classInformer
              .list()
              .filter(({ metadata }) => isOurs(metadata.name))
              .map(({ metadata }) => keyFor(metadata.name, node.metadata.name))
          : undefined;
      }),
    ],
    reconcile,
  });
  // A volume is told of after its directory was made, and taken away after that was removed.
  const stop = volumeInformer.onChange(({ type, object, old }) => {
    const same = type === 'updated' && old?.spec.capacity?.storage === object.spec.capacity?.storage;
    const hostname = same ? undefined : hostnameOf(object);
    if (hostname === undefined || !isOurs(object.spec.storageClassName)) return;
    for (const { metadata } of nodeInformer.list())
      if (metadata.labels?.[hostnameLabel] === hostname)
        part?.enqueue(keyFor(object.spec.storageClassName as string, metadata.name));
  });
  return {
    get idle() {
      return part?.idle ?? true;
    },
    async close() {
      stop();
      stopDrivers?.();
      await part?.close();
    },
  };
}

export const storageCapacityController = defineController({ name: 'storage-capacity-controller', start });
