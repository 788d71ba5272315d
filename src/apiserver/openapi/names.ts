import type { ResourceInfo } from '#api';

/** Where a package of the facts lives in the definitions' names. */
const packages: Readonly<Record<string, string>> = {
  meta: 'io.k8s.apimachinery.pkg.apis.meta',
  apiextensions: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions',
  apiregistration: 'io.k8s.kube-aggregator.pkg.apis.apiregistration',
};

/** `core/v1.Pod` → `io.k8s.api.core.v1.Pod`. */
export function definitionName(typeName: string): string {
  const slash = typeName.indexOf('/');
  const packageName = typeName.slice(0, slash);
  const prefix = Object.hasOwn(packages, packageName) ? (packages[packageName] as string) : `io.k8s.api.${packageName}`;
  return `${prefix}.${typeName.slice(slash + 1)}`;
}

/** `stable.example.com/v1 CronTab` → `com.example.stable.v1.CronTab`. */
export function customDefinitionName({ group, version, kind }: ResourceInfo): string {
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** `rbac.authorization.k8s.io` → `RbacAuthorization`, as operation ids name groups. */
export function groupWords(group: string): string {
  if (group === '') return 'Core';
  return group
    .replace(/\.k8s\.io$/, '')
    .split(/[.-]/)
    .map(capital)
    .join('');
}

/** `rbacAuthorization_v1`: the tag of a group version's operations. */
export function groupTag(group: string, version: string): string {
  const words = groupWords(group);
  return `${words.slice(0, 1).toLowerCase()}${words.slice(1)}_${version}`;
}

export { capital };
