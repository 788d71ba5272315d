import { eventRule, type RuleText } from './policy-rules.ts';

/** What a node may do; the Node authorizer narrows it to the node's own objects and pods. */
export const nodeRules: readonly RuleText[] = [
  'create | authentication.k8s.io | tokenreviews',
  'create | authorization.k8s.io | localsubjectaccessreviews subjectaccessreviews',
  'R | core | services',
  'create R | core | nodes',
  'patch update | core | nodes/status',
  'patch update | core | nodes',
  'create patch update | core events.k8s.io | events',
  'R | core | pods',
  'create delete | core | pods',
  'patch update | core | pods/status',
  'create | core | pods/eviction',
  'R | core | configmaps secrets',
  'get | core | persistentvolumeclaims persistentvolumes',
  'get | core | endpoints',
  'create R | certificates.k8s.io | certificatesigningrequests',
  'create delete get patch update | coordination.k8s.io | leases',
  'get | storage.k8s.io | volumeattachments',
  'create | core | serviceaccounts/token',
  'get | core | serviceaccounts',
  'get patch update | core | persistentvolumeclaims/status',
  'R | storage.k8s.io | csidrivers',
  'create delete get patch update | storage.k8s.io | csinodes',
  'R | node.k8s.io | runtimeclasses',
  'get | resource.k8s.io | resourceclaims',
  'create delete deletecollection get list patch update watch | resource.k8s.io | resourceslices',
];

const aggregate = (to: string): Readonly<Record<string, string>> => ({
  [`rbac.authorization.k8s.io/aggregate-to-${to}`]: 'true',
});

export interface RoleRow {
  readonly rules?: readonly RuleText[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Collects the rules of the roles that carry `aggregate-to-<this>`. */
  readonly aggregates?: string;
}

/** Default ClusterRoles of Kubernetes 1.36 but for those of controllers. */
export const clusterRoles: Readonly<Record<string, RoleRow>> = {
  'cluster-admin': { rules: ['* | * | *', '* | url | *'] },
  admin: { aggregates: 'admin' },
  edit: { aggregates: 'edit', labels: aggregate('admin') },
  view: { aggregates: 'view', labels: aggregate('edit') },
  'system:aggregate-to-admin': {
    labels: aggregate('admin'),
    rules: [
      'create | authorization.k8s.io | localsubjectaccessreviews',
      'RW | rbac.authorization.k8s.io | rolebindings roles',
    ],
  },
  'system:aggregate-to-edit': {
    labels: aggregate('edit'),
    rules: [
      'R | core | pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy',
      'impersonate | core | serviceaccounts',
      'W | core | pods pods/attach pods/exec pods/portforward pods/proxy',
      'create | core | pods/eviction',
      'W | core | configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
      'create | core | serviceaccounts/token',
      'W | apps | daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale',
      'W | autoscaling | horizontalpodautoscalers',
      'W | batch | cronjobs jobs',
      'W | extensions | daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale',
      'W | policy | poddisruptionbudgets',
      'W | networking.k8s.io | ingresses networkpolicies',
      'RW | coordination.k8s.io | leases',
      'W | resource.k8s.io | resourceclaims resourceclaimtemplates',
    ],
  },
  'system:aggregated-metrics-reader': { labels: aggregate('view'), rules: ['R | metrics.k8s.io | nodes pods'] },
  'system:aggregate-to-view': {
    labels: aggregate('view'),
    rules: [
      'R | core | configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
      'R | core | bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
      'R | core | namespaces',
      'R | discovery.k8s.io | endpointslices',
      'R | apps | controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status',
      'R | autoscaling | horizontalpodautoscalers horizontalpodautoscalers/status',
      'R | batch | cronjobs cronjobs/status jobs jobs/status',
      'R | extensions | daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale',
      'R | policy | poddisruptionbudgets poddisruptionbudgets/status',
      'R | networking.k8s.io | ingresses ingresses/status networkpolicies',
      'R | resource.k8s.io | resourceclaims resourceclaims/status resourceclaimtemplates',
    ],
  },
  'system:auth-delegator': {
    rules: ['create | authentication.k8s.io | tokenreviews', 'create | authorization.k8s.io | subjectaccessreviews'],
  },
  'system:basic-user': {
    rules: [
      'create | authorization.k8s.io | selfsubjectaccessreviews selfsubjectrulesreviews',
      'create | authentication.k8s.io | selfsubjectreviews',
    ],
  },
  'system:certificates.k8s.io:certificatesigningrequests:nodeclient': {
    rules: ['create | certificates.k8s.io | certificatesigningrequests/nodeclient'],
  },
  'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient': {
    rules: ['create | certificates.k8s.io | certificatesigningrequests/selfnodeclient'],
  },
  'system:certificates.k8s.io:kube-apiserver-client-approver': {
    rules: ['approve | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client'],
  },
  'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver': {
    rules: ['approve | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client-kubelet'],
  },
  'system:certificates.k8s.io:kubelet-serving-approver': {
    rules: ['approve | certificates.k8s.io | signers | kubernetes.io/kubelet-serving'],
  },
  'system:certificates.k8s.io:legacy-unknown-approver': {
    rules: ['approve | certificates.k8s.io | signers | kubernetes.io/legacy-unknown'],
  },
  'system:discovery': {
    rules: ['get | url | /api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/'],
  },
  'system:heapster': { rules: ['R | core | events namespaces nodes pods', 'R | extensions | deployments'] },
  'system:kube-aggregator': { rules: ['R | core | endpoints services'] },
  'system:kube-controller-manager': {
    rules: [
      eventRule,
      'create | coordination.k8s.io | leases',
      'get update | coordination.k8s.io | leases | kube-controller-manager',
      'create | core | secrets serviceaccounts',
      'delete | core | secrets',
      'get | core | configmaps namespaces secrets serviceaccounts',
      'update | core | secrets serviceaccounts',
      'create | authentication.k8s.io | tokenreviews',
      'create | authorization.k8s.io | subjectaccessreviews',
      'list watch | * | *',
      'create | core | serviceaccounts/token',
    ],
  },
  // All controllers in one process, without an account for each: what one of them may do, all may.
  'k8ts:controllers': { rules: ['* | * | *', '* | url | *'] },
  'system:kube-dns': { rules: ['list watch | core | endpoints services'] },
  'system:kube-scheduler': {
    rules: [
      eventRule,
      'create | coordination.k8s.io | leases',
      'get list update watch | coordination.k8s.io | leases | kube-scheduler',
      'R | core | nodes',
      'delete R | core | pods',
      'create | core | bindings pods/binding',
      'patch update | core | pods/status',
      'R | core | replicationcontrollers services',
      'R | apps extensions | replicasets',
      'R | apps | statefulsets',
      'R | policy | poddisruptionbudgets',
      'R | core | persistentvolumeclaims persistentvolumes',
      'create | authentication.k8s.io | tokenreviews',
      'create | authorization.k8s.io | subjectaccessreviews',
      'R | storage.k8s.io | csinodes',
      'R | core | namespaces',
      'R | storage.k8s.io | csidrivers',
      'R | storage.k8s.io | csistoragecapacities',
      'R | storage.k8s.io | volumeattachments',
      'R | resource.k8s.io | deviceclasses',
      'get list patch update watch | resource.k8s.io | resourceclaims',
      'patch update | resource.k8s.io | resourceclaims/status',
      'patch update | resource.k8s.io | resourceclaims/binding',
      'R | resource.k8s.io | resourceslices',
    ],
  },
  'system:kubelet-api-admin': {
    rules: [
      'R | core | nodes',
      'proxy | core | nodes',
      '* | core | nodes/checkpoint nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats',
    ],
  },
  'system:monitoring': {
    rules: ['get | url | /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*'],
  },
  'system:node': { rules: nodeRules },
  'system:node-bootstrapper': { rules: ['create R | certificates.k8s.io | certificatesigningrequests'] },
  'system:node-problem-detector': { rules: ['get | core | nodes', 'patch | core | nodes/status', eventRule] },
  'system:node-proxier': {
    rules: [
      'list watch | core | endpoints services',
      'R | core | nodes',
      eventRule,
      'list watch | discovery.k8s.io | endpointslices',
      'list watch | networking.k8s.io | servicecidrs',
    ],
  },
  // What the network of a node needs to know beside Services; upstream leaves it to network plugins.
  'k8ts:node-network': {
    rules: ['list watch | core | namespaces pods', 'list watch | networking.k8s.io | networkpolicies'],
  },
  // Secrets are not here: see ingress.ts.
  'k8ts:ingress': {
    rules: [
      'list watch | core | nodes services',
      'list watch | discovery.k8s.io | endpointslices',
      'list watch | networking.k8s.io | ingressclasses ingresses',
      'patch | networking.k8s.io | ingresses/status',
      eventRule,
    ],
  },
  'system:persistent-volume-provisioner': {
    rules: [
      'create delete R | core | persistentvolumes',
      'get list update watch | core | persistentvolumeclaims',
      'R | storage.k8s.io | storageclasses',
      'watch | core | events',
      eventRule,
    ],
  },
  'system:public-info-viewer': { rules: ['get | url | /healthz /livez /readyz /version /version/'] },
  'system:service-account-issuer-discovery': {
    rules: ['get | url | /.well-known/openid-configuration /openid/v1/jwks'],
  },
  'system:volume-scheduler': {
    rules: [
      'get list patch update watch | core | persistentvolumes',
      'R | storage.k8s.io | storageclasses',
      'get list patch update watch | core | persistentvolumeclaims',
    ],
  },
};
