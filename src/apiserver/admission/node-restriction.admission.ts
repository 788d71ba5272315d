import type { AnyObject, Node, Pod } from '#api';
import { controllerOf, deepEqual, goQuote } from '#machinery';
import { nodeNameOf, podReferences } from '../authz/index.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';
import { refuse } from './refuse.ts';

const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** Labels of its own Node that a kubelet may set although their names are Kubernetes' own. */
const kubeletLabels: ReadonlySet<string> = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
]);

const kubeletNamespaces = ['kubelet.kubernetes.io', 'node.kubernetes.io'];
const handled: ReadonlySet<string> = new Set([
  'pods',
  'nodes',
  'serviceaccounts',
  'leases',
  'csinodes',
  'resourceslices',
]);

type Check = (attributes: AdmissionAttributes, node: string) => void | Promise<void>;

/** What a kubelet may write, beyond what authorization says: its own Node without the labels and taints that others rely on, its own mirror pods. */
export function nodeRestriction({ objects }: AdmissionOptions): AdmissionPlugin {
  const pods = objects.view('v1', 'pods');
  const nodes = objects.view('v1', 'nodes');

  const podOf = async (attributes: AdmissionAttributes): Promise<Pod | undefined> => {
    await pods.ready;
    return pods.get(attributes.namespace, attributes.name) as unknown as Pod | undefined;
  };

  const checkNewPod: Check = async (attributes, node) => {
    const pod = attributes.object as unknown as Pod;
    const who = `node ${goQuote(node)}`;
    if (pod.metadata.annotations === undefined || !Object.hasOwn(pod.metadata.annotations, mirrorAnnotation)) {
      throw refuse(
        attributes,
        `pod does not have ${goQuote(mirrorAnnotation)} annotation, ${who} can only create mirror pods`,
      );
    }
    if (pod.spec?.nodeName !== node)
      throw refuse(attributes, `${who} can only create pods with spec.nodeName set to itself`);
    const owners = pod.metadata.ownerReferences ?? [];
    const owner = owners[0];
    if (owner === undefined)
      throw refuse(attributes, `${who} can only create pods with an owner reference set to itself`);
    if (owners.length > 1)
      throw refuse(attributes, `${who} can only create pods with a single owner reference set to itself`);
    if (owner.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node)
      throw refuse(attributes, `${who} can only create pods with an owner reference set to itself`);
    if (controllerOf(pod as unknown as AnyObject) === undefined)
      throw refuse(attributes, `${who} can only create pods with a controller owner reference set to itself`);
    if (owner.blockOwnerDeletion === true)
      throw refuse(attributes, `${who} must not set blockOwnerDeletion on an owner reference`);
    await nodes.ready;
    const uid = nodes.get(undefined, node)?.metadata.uid;
    if (uid !== owner.uid) throw refuse(attributes, `${who} UID mismatch: expected ${uid ?? ''} got ${owner.uid}`);
    checkMirrorContent(attributes, pod, who);
  };

  const checkPod: Check = async (attributes, node) => {
    const who = `node ${goQuote(node)}`;
    const stored = attributes.oldObject as unknown as Pod | undefined;
    if (attributes.subresource === 'status') {
      const pod = stored ?? (await podOf(attributes));
      if (pod?.spec?.nodeName !== node)
        throw refuse(attributes, `${who} can only update pod status for pods with spec.nodeName set to itself`);
      const now = attributes.object as unknown as Pod;
      if (!deepEqual(now.metadata.labels ?? {}, pod.metadata.labels ?? {}))
        throw refuse(attributes, `${who} cannot update labels through pod status`);
      if (!deepEqual(now.status?.resourceClaimStatuses ?? [], pod.status?.resourceClaimStatuses ?? []))
        throw refuse(attributes, `${who} cannot update resource claim statuses`);
      return;
    }
    if (attributes.subresource === 'eviction') {
      if ((await podOf(attributes))?.spec?.nodeName !== node)
        throw refuse(attributes, `${who} can only evict pods with spec.nodeName set to itself`);
      return;
    }
    if (attributes.subresource !== '')
      throw refuse(
        attributes,
        `unexpected pod subresource ${goQuote(attributes.subresource)}, only 'status' and 'eviction' are allowed`,
      );
    if (attributes.operation === 'CREATE') return checkNewPod(attributes, node);
    if (attributes.operation !== 'DELETE')
      throw refuse(
        attributes,
        `unexpected operation ${goQuote(attributes.operation)}, ${who} can only create and delete mirror pods`,
      );
    const pod = stored ?? (await podOf(attributes));
    if (pod !== undefined && pod.spec?.nodeName !== node)
      throw refuse(attributes, `${who} can only delete pods with spec.nodeName set to itself`);
  };

  const checkToken: Check = async (attributes, node) => {
    if (attributes.subresource !== 'token') return;
    const spec = (attributes.object?.spec ?? {}) as { boundObjectRef?: { kind?: string; name?: string; uid?: string } };
    const bound = spec.boundObjectRef;
    if (bound?.kind !== 'Pod' || (bound.name ?? '') === '')
      throw refuse(attributes, 'node requested token not bound to a pod');
    if ((bound.uid ?? '') === '') throw refuse(attributes, 'node requested token with a pod binding without a uid');
    await pods.ready;
    const pod = pods.get(attributes.namespace, bound.name as string) as unknown as Pod | undefined;
    if (pod === undefined || pod.metadata.uid !== bound.uid)
      throw refuse(attributes, 'node requested token bound to a pod that does not exist');
    if (pod.spec?.nodeName !== node)
      throw refuse(attributes, 'node requested token bound to a pod scheduled on a different node');
  };

  return {
    name: 'NodeRestriction',
    handles: (operation, definition) =>
      operation !== 'CONNECT' && definition !== undefined && handled.has(definition.resource.plural),
    validate(attributes) {
      const { identity, group } = attributes;
      if (!identity.groups.includes('system:nodes')) return undefined;
      const node = nodeNameOf(identity);
      if (node === undefined || node === '')
        throw refuse(attributes, `could not determine node from user ${goQuote(identity.user)}`);
      switch (group === '' ? attributes.resource : `${attributes.resource}.${group}`) {
        case 'pods':
          return checkPod(attributes, node);
        case 'nodes':
          return checkNode(attributes, node);
        case 'serviceaccounts':
          return checkToken(attributes, node);
        case 'leases.coordination.k8s.io':
          if (attributes.namespace !== 'kube-node-lease')
            throw refuse(attributes, 'can only access leases in the "kube-node-lease" system namespace');
          return sameName(attributes, node, 'can only access node lease with the same name as the requesting node');
        case 'csinodes.storage.k8s.io':
          return sameName(attributes, node, 'can only access CSINode with the same name as the requesting node');
        case 'resourceslices.resource.k8s.io':
          return checkSlice(attributes, node);
        default:
          return undefined;
      }
    },
  };
}

/** A mirror pod holds nothing that would open the node a door to others' data. */
function checkMirrorContent(attributes: AdmissionAttributes, pod: Pod, who: string): void {
  const what = {
    serviceaccounts: 'a service account',
    secrets: 'secrets',
    configmaps: 'configmaps',
    persistentvolumeclaims: 'persistentvolumeclaims',
    resourceclaims: 'resource claims',
  };
  const first = podReferences(pod as unknown as AnyObject)[0];
  if (first !== undefined)
    throw refuse(attributes, `${who} can not create pods that reference ${what[first.resource]}`);
  if ((pod.spec?.resourceClaims ?? []).length > 0)
    throw refuse(attributes, `${who} can not create pods that reference ${what.resourceclaims}`);
  const tokens = (pod.spec?.volumes ?? []).some((volume) =>
    (volume.projected?.sources ?? []).some(
      (one) => one.serviceAccountToken !== undefined || one.clusterTrustBundle !== undefined,
    ),
  );
  if (tokens)
    throw refuse(attributes, `${who} can not create pods that reference service account tokens or trust bundles`);
}

function checkNode(attributes: AdmissionAttributes, node: string): void {
  const who = `node ${goQuote(node)}`;
  const { operation, name, subresource } = attributes;
  if (name !== node) throw refuse(attributes, `${who} is not allowed to modify node ${goQuote(name)}`);
  if (operation === 'DELETE') throw refuse(attributes, `${who} is not allowed to delete itself`);
  const now = attributes.object as unknown as Node;
  const old = attributes.oldObject as unknown as Node | undefined;
  if (operation === 'CREATE') {
    if ((now.metadata.ownerReferences ?? []).length > 0)
      throw refuse(attributes, `${who} is not allowed to set ownerReferences`);
    const forbidden = Object.keys(now.metadata.labels ?? {})
      .filter(isReserved)
      .sort();
    if (forbidden.length > 0)
      throw refuse(attributes, `${who} is not allowed to set the following labels: ${forbidden.join(', ')}`);
    return;
  }
  if (!deepEqual(now.metadata.ownerReferences ?? [], old?.metadata.ownerReferences ?? []))
    throw refuse(attributes, `${who} is not allowed to modify ownerReferences`);
  if (subresource === '' && !deepEqual(now.spec?.taints ?? [], old?.spec?.taints ?? []))
    throw refuse(attributes, `${who} is not allowed to modify taints`);
  const before = old?.metadata.labels ?? {};
  const after = now.metadata.labels ?? {};
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => before[key] !== after[key] && isReserved(key))
    .sort();
  if (changed.length > 0) throw refuse(attributes, `is not allowed to modify labels: ${changed.join(', ')}`);
}

function isReserved(label: string): boolean {
  const slash = label.indexOf('/');
  const namespace = slash < 0 ? '' : label.slice(0, slash);
  const within = (domain: string): boolean => namespace === domain || namespace.endsWith(`.${domain}`);
  if (within('node-restriction.kubernetes.io')) return true;
  if (!within('kubernetes.io') && !within('k8s.io')) return false;
  return !kubeletLabels.has(label) && !kubeletNamespaces.some(within);
}

function sameName(attributes: AdmissionAttributes, node: string, why: string): void {
  const name = attributes.name || attributes.object?.metadata.name;
  if (name !== node) throw refuse(attributes, why);
}

function checkSlice(attributes: AdmissionAttributes, node: string): void {
  const nodeNameIn = (object: AnyObject | undefined): string | undefined =>
    (object?.spec as { nodeName?: string } | undefined)?.nodeName;
  const shown = attributes.operation === 'DELETE' ? attributes.oldObject : attributes.object;
  if (nodeNameIn(shown) !== node)
    throw refuse(
      attributes,
      `can only ${attributes.operation.toLowerCase()} ResourceSlice with the same nodeName as the requesting node`,
    );
}
