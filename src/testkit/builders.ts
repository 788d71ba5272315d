import type { Deployment, KubeObject, Node, Pod, PodTemplateSpec, ReplicaSet, Service } from '#api';
import { deepFreeze } from '#machinery';

/** Objects as a server would return them, frozen like the cache's, for tests of plans. Any part can be given. */
type Part<T> = { [K in keyof T]?: T[K] extends object | undefined ? Partial<T[K]> : T[K] };

export const testStart = '2026-01-01T00:00:00Z';
let serial = 0;

function meta(name: string, namespace: string | undefined, given: object | undefined): KubeObject['metadata'] {
  serial++;
  const uid = `00000000-0000-4000-8000-${String(serial).padStart(12, '0')}`;
  const base = { name, uid, resourceVersion: String(serial), creationTimestamp: testStart, generation: 1 };
  return { ...base, ...(namespace === undefined ? {} : { namespace }), ...given } as KubeObject['metadata'];
}

export const template = (labels: Record<string, string> = { app: 'web' }, image = 'web:1'): PodTemplateSpec => ({
  metadata: { labels },
  spec: { containers: [{ name: 'web', image }] },
});

/** A running, ready pod on node `n1`, unless told otherwise. */
export function aPod(name: string, part: Part<Pod> & { ready?: boolean; node?: string; owner?: KubeObject } = {}): Pod {
  const { ready = true, node = 'n1', owner, metadata, spec, status } = part;
  const ownerReferences =
    owner === undefined
      ? {}
      : {
          ownerReferences: [
            {
              apiVersion: owner.apiVersion,
              kind: owner.kind,
              name: owner.metadata.name,
              uid: owner.metadata.uid,
              controller: true,
              blockOwnerDeletion: true,
            },
          ],
        };
  return deepFreeze({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: meta(name, 'default', { labels: { app: 'web' }, ...ownerReferences, ...metadata }),
    spec: { containers: [{ name: 'web', image: 'web:1' }], ...(node === '' ? {} : { nodeName: node }), ...spec },
    status: {
      phase: 'Running',
      podIP: '10.244.0.2',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: testStart }],
      ...status,
    },
  } as Pod);
}

export function aDeployment(name: string, part: Part<Deployment> = {}): Deployment {
  const { metadata, spec, status } = part;
  return deepFreeze({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta(name, 'default', metadata),
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'web' } },
      template: template(),
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...spec,
    },
    status: { ...status },
  } as Deployment);
}

export function aReplicaSet(
  name: string,
  part: Part<ReplicaSet> & { owner?: KubeObject; available?: number; image?: string } = {},
): ReplicaSet {
  const { metadata, spec, status, owner, image = 'web:1' } = part;
  const replicas = spec?.replicas ?? 3;
  const available = part.available ?? replicas;
  const hash = name.split('-').at(-1) ?? name;
  const labels = { app: 'web', 'pod-template-hash': hash };
  const ownerReferences =
    owner === undefined
      ? []
      : [
          {
            apiVersion: owner.apiVersion,
            kind: owner.kind,
            name: owner.metadata.name,
            uid: owner.metadata.uid,
            controller: true,
            blockOwnerDeletion: true,
          },
        ];
  return deepFreeze({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: meta(name, 'default', { labels, ownerReferences, ...metadata }),
    spec: { replicas, selector: { matchLabels: labels }, template: template(labels, image), ...spec },
    status: {
      replicas,
      observedGeneration: 1,
      ...(available > 0
        ? { readyReplicas: available, availableReplicas: available, fullyLabeledReplicas: replicas }
        : {}),
      ...status,
    },
  } as ReplicaSet);
}

export function aNode(name: string, part: Part<Node> & { ready?: 'True' | 'False' | 'Unknown' } = {}): Node {
  const { metadata, spec, status, ready = 'True' } = part;
  return deepFreeze({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: meta(name, undefined, metadata),
    spec: { ...spec },
    status: {
      conditions: [{ type: 'Ready', status: ready, lastHeartbeatTime: testStart, lastTransitionTime: testStart }],
      ...status,
    },
  } as Node);
}

export function aService(name: string, part: Part<Service> = {}): Service {
  const { metadata, spec } = part;
  return deepFreeze({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta(name, 'default', metadata),
    spec: {
      clusterIP: '10.96.0.20',
      ipFamilies: ['IPv4'],
      selector: { app: 'web' },
      ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }],
      ...spec,
    },
  } as Service);
}
