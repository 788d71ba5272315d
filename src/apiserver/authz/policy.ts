import { ingressUser, type ObjectMeta } from '#api';
import { controllerRoles } from './policy-controllers.ts';
import { clusterRoles, type RoleRow } from './policy-roles.ts';
import { eventRule, parseRule, type PolicyRule, type RuleText } from './policy-rules.ts';

const apiVersion = 'rbac.authorization.k8s.io/v1';
const apiGroup = 'rbac.authorization.k8s.io';

/** A role or binding to create; the server fills in the rest of its metadata. */
export interface PolicyObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Partial<ObjectMeta> & { readonly name: string };
  readonly [field: string]: unknown;
}

type Subject =
  | { readonly kind: 'User' | 'Group'; readonly name: string; readonly apiGroup: string }
  | { readonly kind: 'ServiceAccount'; readonly name: string; readonly namespace: string };

const user = (name: string): Subject => ({ kind: 'User', name, apiGroup });
const group = (name: string): Subject => ({ kind: 'Group', name, apiGroup });
const account = (name: string): Subject => ({ kind: 'ServiceAccount', name, namespace: 'kube-system' });

/** Default ClusterRoleBindings: a role's name and who has it. */
const clusterRoleBindings: Readonly<Record<string, readonly Subject[]>> = {
  'cluster-admin': [group('system:masters')],
  'k8ts:controllers': [user('system:kube-controller-manager')],
  'system:monitoring': [group('system:monitoring')],
  'system:discovery': [group('system:authenticated')],
  'system:basic-user': [group('system:authenticated')],
  'system:public-info-viewer': [group('system:authenticated'), group('system:unauthenticated')],
  'system:node-proxier': [user('system:kube-proxy')],
  'k8ts:node-network': [user('system:kube-proxy')],
  'k8ts:ingress': [user(ingressUser)],
  'system:kube-controller-manager': [user('system:kube-controller-manager')],
  'system:kube-dns': [account('kube-dns')],
  'system:kube-scheduler': [user('system:kube-scheduler')],
  'system:volume-scheduler': [user('system:kube-scheduler')],
  'system:node': [],
  'system:service-account-issuer-discovery': [group('system:serviceaccounts')],
};

const leaderLocking: readonly RuleText[] = [
  'create get list update watch | coordination.k8s.io | leases',
  'create get list update watch | coordination.k8s.io | leasecandidates',
];

/** Default Roles: namespace, name, rules. */
const roles: readonly (readonly [namespace: string, name: string, rules: readonly RuleText[]])[] = [
  [
    'kube-public',
    'system:controller:bootstrap-signer',
    ['R | core | configmaps', 'update | core | configmaps | cluster-info', eventRule],
  ],
  [
    'kube-system',
    'extension-apiserver-authentication-reader',
    ['R | core | configmaps | extension-apiserver-authentication'],
  ],
  ['kube-system', 'system::leader-locking-kube-controller-manager', leaderLocking],
  ['kube-system', 'system::leader-locking-kube-scheduler', leaderLocking],
  ['kube-system', 'system:controller:bootstrap-signer', ['R | core | secrets']],
  ['kube-system', 'system:controller:cloud-provider', ['create R | core | configmaps']],
  ['kube-system', 'system:controller:token-cleaner', ['delete R | core | secrets', eventRule]],
  // Stub domains and resolvers of the cluster's DNS, which every node answers.
  ['kube-system', 'k8ts:cluster-dns', ['R | core | configmaps | kube-dns']],
];

/** Default RoleBindings: namespace, name, role, subjects. */
const roleBindings: readonly (readonly [
  namespace: string,
  name: string,
  role: string,
  subjects: readonly Subject[],
])[] = [
  [
    'kube-public',
    'system:controller:bootstrap-signer',
    'system:controller:bootstrap-signer',
    [account('bootstrap-signer')],
  ],
  ['kube-system', 'k8ts:cluster-dns', 'k8ts:cluster-dns', [group('system:nodes'), user('system:kube-proxy')]],
  [
    'kube-system',
    'system::extension-apiserver-authentication-reader',
    'extension-apiserver-authentication-reader',
    [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  ],
  [
    'kube-system',
    'system::leader-locking-kube-controller-manager',
    'system::leader-locking-kube-controller-manager',
    [user('system:kube-controller-manager'), account('kube-controller-manager'), account('leader-election-controller')],
  ],
  [
    'kube-system',
    'system::leader-locking-kube-scheduler',
    'system::leader-locking-kube-scheduler',
    [user('system:kube-scheduler'), account('kube-scheduler')],
  ],
  [
    'kube-system',
    'system:controller:bootstrap-signer',
    'system:controller:bootstrap-signer',
    [account('bootstrap-signer')],
  ],
  ['kube-system', 'system:controller:cloud-provider', 'system:controller:cloud-provider', [account('cloud-provider')]],
  ['kube-system', 'system:controller:token-cleaner', 'system:controller:token-cleaner', [account('token-cleaner')]],
];

const metadata = (
  name: string,
  namespace?: string,
  labels: Readonly<Record<string, string>> = {},
): PolicyObject['metadata'] => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
});

const rulesOf = (texts: readonly RuleText[]): PolicyRule[] => texts.map(parseRule);
const clusterRoleRef = (name: string): object => ({ apiGroup, kind: 'ClusterRole', name });

function clusterRole(name: string, row: RoleRow): PolicyObject {
  return {
    apiVersion,
    kind: 'ClusterRole',
    metadata: metadata(name, undefined, row.labels),
    rules: row.aggregates === undefined ? rulesOf(row.rules ?? []) : aggregatedRules(row.aggregates),
    ...(row.aggregates === undefined
      ? {}
      : {
          aggregationRule: {
            clusterRoleSelectors: [
              { matchLabels: { [`rbac.authorization.k8s.io/aggregate-to-${row.aggregates}`]: 'true' } },
            ],
          },
        }),
  };
}

/** What the aggregation controller will write, so that the roles work before it has run. */
function aggregatedRules(to: string): PolicyRule[] {
  const label = `rbac.authorization.k8s.io/aggregate-to-${to}`;
  const members = Object.entries(clusterRoles).filter(
    ([, row]) => row.labels !== undefined && Object.hasOwn(row.labels, label),
  );
  const found: PolicyRule[] = [];
  const seen = new Set<string>();
  for (const [, row] of members.sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const rule of row.aggregates === undefined ? rulesOf(row.rules ?? []) : aggregatedRules(row.aggregates)) {
      const key = JSON.stringify(rule);
      if (!seen.has(key)) found.push(rule);
      seen.add(key);
    }
  }
  return found;
}

function clusterRoleBinding(name: string, role: string, subjects: readonly Subject[]): PolicyObject {
  return {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: metadata(name),
    roleRef: clusterRoleRef(role),
    subjects: [...subjects],
  };
}

/**
 * Every Role and binding of the default policy, as objects to create. At start the server writes those that are missing and adds
 * missing rules and subjects to those that carry the autoupdate annotation: see `reconcilePolicyObject`.
 *
 * Beyond upstream's own: `kubeadm:cluster-admins` (kubeadm's admin.conf); the API server's client towards kubelets, which here has
 * `system:kubelet-api-admin` and nothing more; nodes, which keep Services with their own identity and renew their certificates.
 */
export function bootstrapPolicy(): PolicyObject[] {
  return [
    ...Object.entries(clusterRoles).map(([name, row]) => clusterRole(name, row)),
    ...Object.entries(controllerRoles).map(([name, rules]) => clusterRole(`system:controller:${name}`, { rules })),
    ...Object.entries(clusterRoleBindings).map(([name, subjects]) => clusterRoleBinding(name, name, subjects)),
    ...Object.keys(controllerRoles).map((name) =>
      clusterRoleBinding(`system:controller:${name}`, `system:controller:${name}`, [account(name)]),
    ),
    clusterRoleBinding('kubeadm:cluster-admins', 'cluster-admin', [group('kubeadm:cluster-admins')]),
    clusterRoleBinding('system:kubelet-api-admin', 'system:kubelet-api-admin', [user('kube-apiserver-kubelet-client')]),
    clusterRoleBinding(
      'kubeadm:node-autoapprove-certificate-rotation',
      'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
      [group('system:nodes')],
    ),
    ...roles.map(([namespace, name, rules]) => ({
      apiVersion,
      kind: 'Role',
      metadata: metadata(name, namespace),
      rules: rulesOf(rules),
    })),
    ...roleBindings.map(([namespace, name, role, subjects]) => ({
      apiVersion,
      kind: 'RoleBinding',
      metadata: metadata(name, namespace),
      roleRef: { apiGroup, kind: 'Role', name: role },
      subjects: [...subjects],
    })),
  ];
}

/** What kubeadm's init adds so that nodes can join with a bootstrap token. */
export function joinPolicy(): PolicyObject[] {
  const joining = group('system:bootstrappers:kubeadm:default-node-token');
  const clusterInfo = {
    apiVersion,
    kind: 'Role',
    metadata: { name: 'kubeadm:bootstrap-signer-clusterinfo', namespace: 'kube-public' },
  };
  return [
    // A machine that joins has one identity, its node's: it keeps Services, policies and Ingresses under that name.
    ...['system:node-proxier', 'k8ts:node-network', 'k8ts:ingress'].map((role) =>
      clusterRoleBinding(`${role.replace('system:', 'k8ts:')}:nodes`, role, [group('system:nodes')]),
    ),
    clusterRoleBinding('kubeadm:kubelet-bootstrap', 'system:node-bootstrapper', [joining]),
    clusterRoleBinding(
      'kubeadm:node-autoapprove-bootstrap',
      'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
      [joining],
    ),
    ...readableByNodes('kubeadm:nodes-kubeadm-config', 'kubeadm-config', joining),
    {
      apiVersion,
      kind: 'ClusterRole',
      metadata: { name: 'kubeadm:get-nodes' },
      rules: rulesOf(['get | core | nodes']),
    },
    clusterRoleBinding('kubeadm:get-nodes', 'kubeadm:get-nodes', [joining]),
    { ...clusterInfo, rules: rulesOf(['get | core | configmaps | cluster-info']) },
    {
      ...clusterInfo,
      kind: 'RoleBinding',
      roleRef: { apiGroup, kind: 'Role', name: 'kubeadm:bootstrap-signer-clusterinfo' },
      subjects: [user('system:anonymous')],
    },
  ];
}

/** A Role in kube-system, and its binding, by which nodes and those that want to be read one ConfigMap. */
function readableByNodes(name: string, configMap: string, joining: Subject): PolicyObject[] {
  const metadata = { name, namespace: 'kube-system' };
  return [
    { apiVersion, kind: 'Role', metadata, rules: rulesOf([`get | core | configmaps | ${configMap}`]) },
    {
      apiVersion,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup, kind: 'Role', name },
      subjects: [joining, group('system:nodes')],
    },
  ];
}

/**
 * The stored object with what the default has and it lacks (rules, subjects, labels); undefined when nothing is missing or the
 * object opted out with `rbac.authorization.kubernetes.io/autoupdate: "false"`. Additions of administrators stay.
 */
export function reconcilePolicyObject(stored: PolicyObject, wanted: PolicyObject): PolicyObject | undefined {
  if (stored.metadata.annotations?.['rbac.authorization.kubernetes.io/autoupdate'] !== 'true') return undefined;
  const missing = (field: 'rules' | 'subjects'): unknown[] => {
    const have = new Set((Array.isArray(stored[field]) ? stored[field] : []).map(canonical));
    return (Array.isArray(wanted[field]) ? wanted[field] : []).filter((one) => !have.has(canonical(one)));
  };
  const rules = wanted.aggregationRule === undefined ? missing('rules') : [];
  const subjects = missing('subjects');
  const labels = Object.entries(wanted.metadata.labels ?? {}).filter(
    ([key]) => stored.metadata.labels?.[key] === undefined,
  );
  if (rules.length + subjects.length + labels.length === 0) return undefined;
  return {
    ...stored,
    metadata: { ...stored.metadata, labels: { ...stored.metadata.labels, ...Object.fromEntries(labels) } },
    ...(rules.length === 0 ? {} : { rules: [...((stored.rules as unknown[] | undefined) ?? []), ...rules] }),
    ...(subjects.length === 0
      ? {}
      : { subjects: [...((stored.subjects as unknown[] | undefined) ?? []), ...subjects] }),
  };
}

/** Equal for equal rules and subjects whatever the order of their fields. */
function canonical(one: unknown): string {
  return JSON.stringify(Object.entries(one as object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
