/** What names a resource on the wire. One row a resource; discovery, routes and clients all read this. */
export interface ResourceInfo {
  /** API group, '' for core. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Path segment, always lower case. */
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Message name in the schema, `core/v1.Pod`; absent for custom resources. */
  readonly typeName?: string;
}

/** One row of the table below: [kind, plural, scope, short names, categories]. */
type Row = readonly [kind: string, plural: string, scope: 'ns' | 'cluster', short?: string, categories?: string];

const table: Readonly<Record<string, readonly Row[]>> = {
  '/v1': [
    ['Binding', 'bindings', 'ns'],
    ['ComponentStatus', 'componentstatuses', 'cluster', 'cs'],
    ['ConfigMap', 'configmaps', 'ns', 'cm'],
    ['Endpoints', 'endpoints', 'ns', 'ep'],
    ['Event', 'events', 'ns', 'ev'],
    ['LimitRange', 'limitranges', 'ns', 'limits'],
    ['Namespace', 'namespaces', 'cluster', 'ns'],
    ['Node', 'nodes', 'cluster', 'no'],
    ['PersistentVolumeClaim', 'persistentvolumeclaims', 'ns', 'pvc'],
    ['PersistentVolume', 'persistentvolumes', 'cluster', 'pv'],
    ['Pod', 'pods', 'ns', 'po', 'all'],
    ['PodTemplate', 'podtemplates', 'ns'],
    ['ReplicationController', 'replicationcontrollers', 'ns', 'rc', 'all'],
    ['ResourceQuota', 'resourcequotas', 'ns', 'quota'],
    ['Secret', 'secrets', 'ns'],
    ['ServiceAccount', 'serviceaccounts', 'ns', 'sa'],
    ['Service', 'services', 'ns', 'svc', 'all'],
  ],
  'apiregistration.k8s.io/v1': [['APIService', 'apiservices', 'cluster', undefined, 'api-extensions']],
  'apps/v1': [
    ['ControllerRevision', 'controllerrevisions', 'ns'],
    ['DaemonSet', 'daemonsets', 'ns', 'ds', 'all'],
    ['Deployment', 'deployments', 'ns', 'deploy', 'all'],
    ['ReplicaSet', 'replicasets', 'ns', 'rs', 'all'],
    ['StatefulSet', 'statefulsets', 'ns', 'sts', 'all'],
  ],
  'events.k8s.io/v1': [['Event', 'events', 'ns', 'ev']],
  'authentication.k8s.io/v1': [
    ['SelfSubjectReview', 'selfsubjectreviews', 'cluster'],
    ['TokenReview', 'tokenreviews', 'cluster'],
  ],
  'authorization.k8s.io/v1': [
    ['LocalSubjectAccessReview', 'localsubjectaccessreviews', 'ns'],
    ['SelfSubjectAccessReview', 'selfsubjectaccessreviews', 'cluster'],
    ['SelfSubjectRulesReview', 'selfsubjectrulesreviews', 'cluster'],
    ['SubjectAccessReview', 'subjectaccessreviews', 'cluster'],
  ],
  'autoscaling/v2': [['HorizontalPodAutoscaler', 'horizontalpodautoscalers', 'ns', 'hpa', 'all']],
  'autoscaling/v1': [['HorizontalPodAutoscaler', 'horizontalpodautoscalers', 'ns', 'hpa', 'all']],
  'batch/v1': [
    ['CronJob', 'cronjobs', 'ns', 'cj', 'all'],
    ['Job', 'jobs', 'ns', undefined, 'all'],
  ],
  'certificates.k8s.io/v1': [['CertificateSigningRequest', 'certificatesigningrequests', 'cluster', 'csr']],
  'networking.k8s.io/v1': [
    ['IngressClass', 'ingressclasses', 'cluster'],
    ['Ingress', 'ingresses', 'ns', 'ing'],
    ['IPAddress', 'ipaddresses', 'cluster', 'ip'],
    ['NetworkPolicy', 'networkpolicies', 'ns', 'netpol'],
    ['ServiceCIDR', 'servicecidrs', 'cluster'],
  ],
  'policy/v1': [['PodDisruptionBudget', 'poddisruptionbudgets', 'ns', 'pdb']],
  'rbac.authorization.k8s.io/v1': [
    ['ClusterRoleBinding', 'clusterrolebindings', 'cluster'],
    ['ClusterRole', 'clusterroles', 'cluster'],
    ['RoleBinding', 'rolebindings', 'ns'],
    ['Role', 'roles', 'ns'],
  ],
  'storage.k8s.io/v1': [
    ['CSIDriver', 'csidrivers', 'cluster'],
    ['CSINode', 'csinodes', 'cluster'],
    ['CSIStorageCapacity', 'csistoragecapacities', 'ns'],
    ['StorageClass', 'storageclasses', 'cluster', 'sc'],
    ['VolumeAttachment', 'volumeattachments', 'cluster'],
    ['VolumeAttributesClass', 'volumeattributesclasses', 'cluster', 'vac'],
  ],
  'admissionregistration.k8s.io/v1': [
    ['MutatingAdmissionPolicy', 'mutatingadmissionpolicies', 'cluster', undefined, 'api-extensions'],
    ['MutatingAdmissionPolicyBinding', 'mutatingadmissionpolicybindings', 'cluster', undefined, 'api-extensions'],
    ['MutatingWebhookConfiguration', 'mutatingwebhookconfigurations', 'cluster', undefined, 'api-extensions'],
    ['ValidatingAdmissionPolicy', 'validatingadmissionpolicies', 'cluster', undefined, 'api-extensions'],
    ['ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings', 'cluster', undefined, 'api-extensions'],
    ['ValidatingWebhookConfiguration', 'validatingwebhookconfigurations', 'cluster', undefined, 'api-extensions'],
  ],
  'apiextensions.k8s.io/v1': [
    ['CustomResourceDefinition', 'customresourcedefinitions', 'cluster', 'crd,crds', 'api-extensions'],
  ],
  'scheduling.k8s.io/v1': [['PriorityClass', 'priorityclasses', 'cluster', 'pc']],
  'coordination.k8s.io/v1': [['Lease', 'leases', 'ns']],
  'node.k8s.io/v1': [['RuntimeClass', 'runtimeclasses', 'cluster']],
  'discovery.k8s.io/v1': [['EndpointSlice', 'endpointslices', 'ns']],
  'flowcontrol.apiserver.k8s.io/v1': [
    ['FlowSchema', 'flowschemas', 'cluster'],
    ['PriorityLevelConfiguration', 'prioritylevelconfigurations', 'cluster'],
  ],
  'resource.k8s.io/v1': [
    ['DeviceClass', 'deviceclasses', 'cluster'],
    ['ResourceClaim', 'resourceclaims', 'ns'],
    ['ResourceClaimTemplate', 'resourceclaimtemplates', 'ns'],
    ['ResourceSlice', 'resourceslices', 'cluster'],
  ],
};

/** Facts files are named by package: `rbac/v1` for group rbac.authorization.k8s.io. */
function schemaPackage(group: string, version: string): string {
  return `${group === '' ? 'core' : group.split('.')[0] === 'rbac' ? 'rbac' : group.split('.')[0]}/${version}`;
}

const splitList = (list: string | undefined): readonly string[] => (list === undefined ? [] : list.split(','));

/** All resources of Kubernetes 1.36 that are generally available, in upstream's discovery order of groups. */
export const builtinResources: readonly ResourceInfo[] = Object.entries(table).flatMap(([groupVersion, rows]) => {
  const [group = '', version = ''] = groupVersion.split('/');
  return rows.map(([kind, plural, scope, short, categories]) =>
    Object.freeze({
      group,
      version,
      kind,
      plural,
      singular: kind.toLowerCase(),
      namespaced: scope === 'ns',
      shortNames: splitList(short),
      categories: splitList(categories),
      typeName: `${schemaPackage(group, version)}.${kind}`,
    }),
  );
});

const byKey = new Map(builtinResources.map((one) => [`${one.group}/${one.version}/${one.plural}`, one]));

/**
 * The row of a built-in resource, for code that names its resources: `resource('apps/v1', 'deployments')`,
 * `resource('v1', 'pods')`. Throws on an unknown one: that is a bug in the caller.
 */
export function resource(groupVersion: string, plural: string): ResourceInfo {
  const key = groupVersion.includes('/') ? groupVersion : `/${groupVersion}`;
  const found = byKey.get(`${key}/${plural}`);
  if (found === undefined) throw new TypeError(`no built-in resource ${groupVersion} ${plural}`);
  return found;
}

/** `apps/v1`, or `v1` for core: the apiVersion field of the resource's objects. */
export function apiVersionOf(info: { readonly group: string; readonly version: string }): string {
  return info.group === '' ? info.version : `${info.group}/${info.version}`;
}
