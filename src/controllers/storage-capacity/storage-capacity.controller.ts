import {
  type CSIStorageCapacity,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  resource,
  type StorageClass,
} from '#api';
import { changesOf, type Outcome, startController } from '#client';
import { isNodeReady } from '#kinds';
import { fnv32a, isAlreadyExists, isNotFound, quantityValue } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { callDriver, hostnameOf, isSimulated, localProvisioner } from '../storage-drivers/drivers.ts';

const capacities = resource('storage.k8s.io/v1', 'csistoragecapacities');
const namespace = 'kube-system';
const refreshMs = 60_000;
const settleMs = 250;
const hostnameLabel = 'kubernetes.io/hostname';

/**
 * Says how much room nodes have for volumes of the local provisioner, a CSIStorageCapacity a class and node, while a claim of the class
 * exists: the scheduler gives no pod to a node where its volume would not fit.
 */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const claimInformer = informers.of<PersistentVolumeClaim>(resource('v1', 'persistentvolumeclaims'));
  const volumeInformer = informers.of<PersistentVolume>(resource('v1', 'persistentvolumes'));
  const classInformer = informers.of<StorageClass>(resource('storage.k8s.io/v1', 'storageclasses'));
  const nodeInformer = informers.of<Node>(resource('v1', 'nodes'));

  const isLocal = (className: string | undefined): boolean =>
    className !== undefined && classInformer.get(undefined, className)?.provisioner === localProvisioner;
  const inUse = (className: string): boolean =>
    claimInformer.list().some(({ spec }) => spec.storageClassName === className);
  const keyFor = (className: string, nodeName: string): string => `${className}/${nodeName}`;
  const everyNode = (className: string | undefined): string[] =>
    isLocal(className) ? nodeInformer.list().map(({ metadata }) => keyFor(className as string, metadata.name)) : [];

  async function reconcile(key: string): Promise<Outcome> {
    const [className = '', nodeName = ''] = key.split('/');
    const node = nodeInformer.get(undefined, nodeName);
    if (!isLocal(className) || !inUse(className)) return;
    if (node === undefined) return remove(className, nodeName);
    if (!isNodeReady(node)) return { requeueAfterMs: refreshMs };
    const bytes = await available(node);
    await publish(className, node, bytes);
    return { requeueAfterMs: refreshMs };
  }

  async function available(node: Node): Promise<number> {
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

  const nameOf = (className: string, nodeName: string): string =>
    `local-${fnv32a(className).toString(16)}-${nodeName.length > 200 ? fnv32a(nodeName).toString(16) : nodeName}`;

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
          labels: { 'k8ts.io/provisioner': 'local' },
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

  const part = startController({
    name: 'storage-capacity',
    clock,
    log,
    needs: [claimInformer.synced, volumeInformer.synced, classInformer.synced, nodeInformer.synced],
    sources: [
      changesOf(claimInformer, ({ spec }, { type, old }) =>
        type === 'added' || (type === 'updated' && old?.spec.volumeName !== spec.volumeName)
          ? everyNode(spec.storageClassName)
          : undefined,
      ),
      changesOf(nodeInformer, (node, { type, old }) => {
        const news = type !== 'updated' || (old !== undefined && isNodeReady(old) !== isNodeReady(node));
        return news
          ? classInformer
              .list()
              .filter(({ provisioner }) => provisioner === localProvisioner)
              .map(({ metadata }) => keyFor(metadata.name, node.metadata.name))
          : undefined;
      }),
    ],
    reconcile,
  });
  // What a volume takes or gives back is seen after its directory is there, or gone.
  const stop = volumeInformer.onChange(({ type, object, old }) => {
    const same = type === 'updated' && old?.spec.capacity?.storage === object.spec.capacity?.storage;
    const hostname = same ? undefined : hostnameOf(object);
    if (hostname === undefined || !isLocal(object.spec.storageClassName)) return;
    for (const { metadata } of nodeInformer.list())
      if (metadata.labels?.[hostnameLabel] === hostname)
        part.enqueueAfter(keyFor(object.spec.storageClassName as string, metadata.name), settleMs);
  });
  return {
    get idle() {
      return part.idle;
    },
    async close() {
      stop();
      await part.close();
    },
  };
}

export const storageCapacityController = defineController({ name: 'storage-capacity-controller', start });
