import { type FlowSchema, type FlowSchemaSpec, type PriorityLevelConfiguration, resource } from '#api';

type Rules = NonNullable<FlowSchemaSpec['rules']>[number];
type Subject = Rules['subjects'][number];

export const flowSchemas = resource('flowcontrol.apiserver.k8s.io/v1', 'flowschemas');
export const priorityLevels = resource('flowcontrol.apiserver.k8s.io/v1', 'prioritylevelconfigurations');

/** While it is `true`, the server keeps the spec of one of its own objects as it has it here. */
export const autoUpdateAnnotation = 'apf.kubernetes.io/autoupdate-spec';
/** Always there, and always as here. */
export const mandatoryNames: ReadonlySet<string> = new Set(['exempt', 'catch-all']);

const metadata = (name: string) =>
  ({ name, annotations: { [autoUpdateAnnotation]: 'true' } }) as unknown as FlowSchema['metadata'];

interface Limits {
  readonly shares: number;
  readonly lendable: number;
  /** Queues, those that one flow uses, and the most that wait in each; absent: nobody waits. */
  readonly queues?: readonly [queues: number, hand: number, length: number];
}

function limited(name: string, { shares, lendable, queues }: Limits): PriorityLevelConfiguration {
  const [count, handSize, queueLengthLimit] = queues ?? [0, 0, 0];
  const limitResponse =
    queues === undefined
      ? { type: 'Reject' }
      : { type: 'Queue', queuing: { queues: count, handSize, queueLengthLimit } };
  return {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'PriorityLevelConfiguration',
    metadata: metadata(name),
    spec: {
      type: 'Limited',
      limited: { nominalConcurrencyShares: shares, lendablePercent: lendable, limitResponse },
    },
  };
}

/** Upstream's priority levels. */
export const defaultPriorityLevels: readonly PriorityLevelConfiguration[] = [
  {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'PriorityLevelConfiguration',
    metadata: metadata('exempt'),
    spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  },
  limited('catch-all', { shares: 5, lendable: 0 }),
  limited('system', { shares: 30, lendable: 33, queues: [64, 6, 50] }),
  limited('node-high', { shares: 40, lendable: 25, queues: [64, 6, 50] }),
  limited('leader-election', { shares: 10, lendable: 0, queues: [16, 4, 50] }),
  limited('workload-high', { shares: 40, lendable: 50, queues: [128, 6, 50] }),
  limited('workload-low', { shares: 100, lendable: 90, queues: [128, 6, 50] }),
  limited('global-default', { shares: 20, lendable: 50, queues: [128, 6, 50] }),
];

const group = (name: string): Subject => ({ kind: 'Group', group: { name } });
const user = (name: string): Subject => ({ kind: 'User', user: { name } });
const systemAccounts: Subject = { kind: 'ServiceAccount', serviceAccount: { name: '*', namespace: 'kube-system' } };
const everybody = [group('system:unauthenticated'), group('system:authenticated')];

const anyResource = {
  verbs: ['*'],
  apiGroups: ['*'],
  resources: ['*'],
  namespaces: ['*'],
  clusterScope: true,
};
const all = {
  resourceRules: [anyResource],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};
const resources = (apiGroups: string[], names: string[], verbs: string[], clusterScope: boolean) => ({
  verbs,
  apiGroups,
  resources: names,
  namespaces: ['*'],
  ...(clusterScope ? { clusterScope } : {}),
});

interface Schema {
  readonly level: string;
  readonly precedence: number;
  readonly flows?: 'ByUser' | 'ByNamespace';
  readonly rules: Rules;
}

function schema(name: string, { level, precedence, flows, rules }: Schema): FlowSchema {
  return {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'FlowSchema',
    metadata: metadata(name),
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence: precedence,
      ...(flows === undefined ? {} : { distinguisherMethod: { type: flows } }),
      rules: [rules],
    },
  };
}

/** Upstream's flow schemas. */
export const defaultFlowSchemas: readonly FlowSchema[] = [
  schema('exempt', { level: 'exempt', precedence: 1, rules: { subjects: [group('system:masters')], ...all } }),
  schema('probes', {
    level: 'exempt',
    precedence: 2,
    rules: {
      subjects: everybody,
      nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
    },
  }),
  schema('system-leader-election', {
    level: 'leader-election',
    precedence: 100,
    flows: 'ByUser',
    rules: {
      subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler'), systemAccounts],
      resourceRules: [resources(['coordination.k8s.io'], ['leases'], ['get', 'create', 'update'], false)],
    },
  }),
  schema('system-node-high', {
    level: 'node-high',
    precedence: 400,
    flows: 'ByUser',
    rules: {
      subjects: [group('system:nodes')],
      resourceRules: [
        resources([''], ['nodes', 'nodes/status'], ['*'], true),
        resources(['coordination.k8s.io'], ['leases'], ['*'], false),
      ],
    },
  }),
  schema('system-nodes', {
    level: 'system',
    precedence: 500,
    flows: 'ByUser',
    rules: { subjects: [group('system:nodes')], ...all },
  }),
  schema('kube-controller-manager', {
    level: 'workload-high',
    precedence: 800,
    flows: 'ByNamespace',
    rules: { subjects: [user('system:kube-controller-manager')], ...all },
  }),
  schema('kube-scheduler', {
    level: 'workload-high',
    precedence: 800,
    flows: 'ByNamespace',
    rules: { subjects: [user('system:kube-scheduler')], ...all },
  }),
  schema('kube-system-service-accounts', {
    level: 'workload-high',
    precedence: 900,
    flows: 'ByNamespace',
    rules: { subjects: [systemAccounts], ...all },
  }),
  schema('service-accounts', {
    level: 'workload-low',
    precedence: 9000,
    flows: 'ByUser',
    rules: { subjects: [group('system:serviceaccounts')], ...all },
  }),
  schema('global-default', {
    level: 'global-default',
    precedence: 9900,
    flows: 'ByUser',
    rules: { subjects: everybody, ...all },
  }),
  schema('catch-all', {
    level: 'catch-all',
    precedence: 10_000,
    flows: 'ByUser',
    rules: { subjects: everybody, ...all },
  }),
];
