/** Which group, and which version of one, clients prefer. Source: what Kubernetes 1.20.2 registers; groups newer than that by their age. */
const groupPriorities: Readonly<Record<string, number>> = {
  '': 18000,
  'apiregistration.k8s.io': 20000,
  apps: 17800,
  'events.k8s.io': 17750,
  'authentication.k8s.io': 17700,
  'authorization.k8s.io': 17600,
  autoscaling: 17500,
  batch: 17400,
  'certificates.k8s.io': 17300,
  'networking.k8s.io': 17200,
  policy: 17100,
  'rbac.authorization.k8s.io': 17000,
  'storage.k8s.io': 16800,
  'apiextensions.k8s.io': 16700,
  'admissionregistration.k8s.io': 16700,
  'scheduling.k8s.io': 16600,
  'coordination.k8s.io': 16500,
  'node.k8s.io': 16300,
  'discovery.k8s.io': 16200,
  'flowcontrol.apiserver.k8s.io': 16100,
  'resource.k8s.io': 15900,
  'storagemigration.k8s.io': 15800,
  'metrics.k8s.io': 100,
};
const versionPriorities: Readonly<Record<string, number>> = {
  '/v1': 1,
  'autoscaling/v2': 30,
  'flowcontrol.apiserver.k8s.io/v1': 21,
  'metrics.k8s.io/v1beta1': 100,
};
const builtinVersionPriority = 15;
const custom = { groupPriorityMinimum: 1000, versionPriority: 100 };

/** The priorities of a group version that this server answers itself, as its APIService has them. */
export function localPriorities(
  group: string,
  version: string,
): { readonly groupPriorityMinimum: number; readonly versionPriority: number } {
  const own = (table: Readonly<Record<string, number>>, key: string): number | undefined =>
    Object.hasOwn(table, key) ? table[key] : undefined;
  const groupPriorityMinimum = own(groupPriorities, group);
  if (groupPriorityMinimum === undefined) return custom;
  const versionPriority = own(versionPriorities, `${group}/${version}`) ?? builtinVersionPriority;
  return { groupPriorityMinimum, versionPriority };
}
