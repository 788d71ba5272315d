import type { AnyObject } from '#api';
import type { AuthorizationDecision, Authorizer, ObjectView, RequestAttributes } from '../contract.ts';
import { followView } from './follow.ts';
import { podReferences, type PodReference } from './pod-references.ts';
import { nodeRules } from './policy-roles.ts';
import { parseRule } from './policy-rules.ts';
import { ruleAllows } from './rule-match.ts';

/** Live views that say what belongs to a node. */
export interface NodeSources {
  readonly pods: ObjectView;
  readonly persistentVolumeClaims: ObjectView;
  readonly persistentVolumes: ObjectView;
  readonly volumeAttachments: ObjectView;
  readonly resourceSlices: ObjectView;
}

const userPrefix = 'system:node:';
const rules = nodeRules.map(parseRule);

/** The node's name when the identity is a node's: user `system:node:<name>` in group system:nodes. */
export function nodeNameOf(identity: {
  readonly user: string;
  readonly groups: readonly string[];
}): string | undefined {
  if (!identity.user.startsWith(userPrefix) || !identity.groups.includes('system:nodes')) return undefined;
  return identity.user.slice(userPrefix.length);
}

interface NodeEntry {
  /** By `namespace/name`. */
  readonly pods: Map<string, readonly PodReference[]>;
  /** `secrets:namespace/name` → how many of the node's pods refer to it. */
  readonly counts: Map<string, number>;
}

/**
 * A node may do what kubelets do, and only to its own: its Node, Lease and CSINode, the pods bound to it, and what those refer to.
 * Says nothing of other identities. References are counted by node as pods change, so a decision is
 * a look-up; the views are opened at the first question of a node.
 */
export function openNodeAuthorizer(sources: NodeSources): Authorizer {
  const nodes = new Map<string, NodeEntry>();
  const track = (pod: AnyObject, add: boolean): void => {
    const nodeName = (pod.spec as { nodeName?: string } | undefined)?.nodeName;
    if (nodeName === undefined || nodeName === '') return;
    const entry = nodes.get(nodeName) ?? { pods: new Map(), counts: new Map() };
    const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
    for (const reference of entry.pods.get(key) ?? []) count(entry, reference, -1);
    entry.pods.delete(key);
    if (add) {
      const references = podReferences(pod);
      entry.pods.set(key, references);
      for (const reference of references) count(entry, reference, 1);
    }
    if (entry.pods.size === 0) nodes.delete(nodeName);
    else nodes.set(nodeName, entry);
  };
  let isReady = false;
  let ready: Promise<void> | undefined;
  const start = async (): Promise<void> => {
    const { pods, ...others } = sources;
    const index = { put: (pod: AnyObject) => track(pod, true), remove: (pod: AnyObject) => track(pod, false) };
    await Promise.all([followView(pods, index), ...Object.values(others).map((view) => view.ready)]);
    isReady = true;
  };

  const refersTo = (node: string, resource: string, namespace: string, name: string): boolean =>
    (nodes.get(node)?.counts.get(`${resource}:${namespace}/${name}`) ?? 0) > 0;
  const claimsOf = (node: string): string[] =>
    [...(nodes.get(node)?.counts.keys() ?? [])]
      .filter((key) => key.startsWith(claimPrefix))
      .map((key) => key.slice(claimPrefix.length));
  const volumesOf = (node: string): AnyObject[] =>
    claimsOf(node).flatMap((key) => {
      const slash = key.indexOf('/');
      const claim = sources.persistentVolumeClaims.get(key.slice(0, slash), key.slice(slash + 1));
      const volumeName = (claim?.spec as { volumeName?: string } | undefined)?.volumeName;
      const volume = volumeName === undefined ? undefined : sources.persistentVolumes.get(undefined, volumeName);
      return volume === undefined ? [] : [volume];
    });

  const related = (node: string, request: RequestAttributes): boolean => {
    const { resource, namespace, name } = request;
    switch (resource) {
      case 'secrets':
        return (
          refersTo(node, resource, namespace, name) ||
          volumesOf(node).some((volume) => volumeSecrets(volume).includes(`${namespace}/${name}`))
        );
      case 'persistentvolumes':
        return volumesOf(node).some((volume) => volume.metadata.name === name);
      case 'volumeattachments':
        return (
          (sources.volumeAttachments.get(undefined, name)?.spec as { nodeName?: string } | undefined)?.nodeName === node
        );
      case 'pods':
        return nodes.get(node)?.pods.has(`${namespace}/${name}`) === true;
      default:
        return refersTo(node, resource, namespace, name);
    }
  };

  const decide = (node: string, request: RequestAttributes): AuthorizationDecision => {
    const { verb, resource, subresource, namespace, name } = request;
    const key = request.group === '' ? resource : `${resource}.${request.group}`;
    switch (key) {
      case 'secrets':
      case 'configmaps':
        if (!['get', 'list', 'watch'].includes(verb) || subresource !== '')
          return no('can only read resources of this type');
        if (name === '') return no('can only read namespaced object of this type');
        return related(node, request) ? allow : no(unrelated(node));
      case 'persistentvolumeclaims':
        if (subresource === 'status')
          return ['get', 'update', 'patch'].includes(verb) && related(node, request)
            ? allow
            : no('can only update PVC status');
        return readOne(node, request, related);
      case 'persistentvolumes':
      case 'resourceclaims.resource.k8s.io':
      case 'volumeattachments.storage.k8s.io':
        return readOne(node, request, related);
      case 'serviceaccounts':
        if (subresource === 'token')
          return verb !== 'create'
            ? no('can only create tokens for individual service accounts')
            : related(node, request)
              ? allow
              : no(unrelated(node));
        return readOne(node, request, related);
      case 'leases.coordination.k8s.io':
        if (!['get', 'create', 'update', 'patch', 'delete'].includes(verb))
          return no('can only get, create, update, patch, or delete a node lease');
        if (namespace !== 'kube-node-lease')
          return no('can only access leases in the "kube-node-lease" system namespace');
        return name === node || (verb === 'create' && name === '')
          ? allow
          : no('can only access node lease with the same name as the requesting node');
      case 'csinodes.storage.k8s.io':
        if (!['get', 'create', 'update', 'patch', 'delete'].includes(verb))
          return no('can only get, create, update, patch, or delete a CSINode');
        if (subresource !== '') return no('cannot authorize CSINode subresources');
        return name === node || (verb === 'create' && name === '')
          ? allow
          : no('can only access CSINode with the same name as the requesting node');
      case 'resourceslices.resource.k8s.io':
        if (['list', 'watch', 'deletecollection'].includes(verb))
          return selects(request.fieldSelector, 'spec.nodeName', node)
            ? allow
            : no('can only list/watch/deletecollection resourceslices with nodeName field selector');
        if (verb === 'create') return allow;
        return sliceNode(sources.resourceSlices.get(undefined, name)) === node ? allow : no(unrelated(node));
      case 'nodes':
        if (subresource !== '' && subresource !== 'status') return no('');
        if (subresource === '' && ['get', 'list', 'watch'].includes(verb))
          return name === node
            ? allow
            : no(`node '${node}' cannot read ${name === '' ? 'all nodes' : `'${name}'`}, only its own Node object`);
        if (verb === 'create') return allow;
        return ['update', 'patch'].includes(verb) && name === node ? allow : no('');
      case 'pods':
        if (['list', 'watch'].includes(verb) && subresource === '') {
          return selects(request.fieldSelector, 'spec.nodeName', node) || (name !== '' && related(node, request))
            ? allow
            : no('can only list/watch pods with spec.nodeName field selector');
        }
        if (verb === 'get') return related(node, request) ? allow : no(unrelated(node));
        return byRules(request);
      default:
        return byRules(request);
    }
  };

  return {
    authorize(request) {
      if (!request.identity.groups.includes('system:nodes')) return no('');
      const node = nodeNameOf(request.identity);
      if (node === undefined || node === '')
        return no(`unknown node for user ${JSON.stringify(request.identity.user)}`);
      if (!request.isResource) return no('');
      if (isReady) return decide(node, request);
      ready ??= start();
      return ready.then(() => decide(node, request));
    },
  };
}

const allow: AuthorizationDecision = Object.freeze({ decision: 'allow', reason: '' });
const no = (reason: string): AuthorizationDecision => ({ decision: 'noOpinion', reason });
const unrelated = (node: string): string => `no relationship found between node '${node}' and this object`;
const claimPrefix = 'persistentvolumeclaims:';

function byRules(request: RequestAttributes): AuthorizationDecision {
  return rules.some((rule) => ruleAllows(rule, request)) ? allow : no('');
}

function readOne(
  node: string,
  request: RequestAttributes,
  related: (node: string, request: RequestAttributes) => boolean,
): AuthorizationDecision {
  if (request.verb !== 'get') return no('can only get individual resources of this type');
  if (request.subresource !== '') return no('cannot get subresource');
  return related(node, request) ? allow : no(unrelated(node));
}

/** Whether a field selector's text can only match objects whose field has the value. */
function selects(fieldSelector: string | undefined, field: string, value: string): boolean {
  return (fieldSelector ?? '').split(',').some((part) => part === `${field}=${value}` || part === `${field}==${value}`);
}

function sliceNode(slice: AnyObject | undefined): string | undefined {
  return (slice?.spec as { nodeName?: string } | undefined)?.nodeName;
}

function count(entry: NodeEntry, reference: PodReference, by: 1 | -1): void {
  const key = `${reference.resource}:${reference.namespace}/${reference.name}`;
  const next = (entry.counts.get(key) ?? 0) + by;
  if (next > 0) entry.counts.set(key, next);
  else entry.counts.delete(key);
}

/** `namespace/name` of the secrets that a volume's source names. */
function volumeSecrets(volume: AnyObject): string[] {
  const spec = volume.spec as Record<string, unknown> & { claimRef?: { namespace?: string } };
  const found: string[] = [];
  const claimNamespace = spec.claimRef?.namespace ?? '';
  const add = (reference: unknown): void => {
    if (typeof reference !== 'object' || reference === null) return;
    const { name, namespace } = reference as { name?: string; namespace?: string };
    if (name !== undefined) found.push(`${namespace ?? claimNamespace}/${name}`);
  };
  for (const source of Object.values(spec)) {
    if (typeof source !== 'object' || source === null) continue;
    for (const [field, value] of Object.entries(source)) if (/secretref$/i.test(field)) add(value);
    const { secretName, secretNamespace } = source as { secretName?: string; secretNamespace?: string };
    if (secretName !== undefined) add({ name: secretName, namespace: secretNamespace });
  }
  return found;
}
