import type { KubeObject, NewObject, Pod, PodTemplateSpec, ResourceInfo } from '#api';
import { controllerReference, validateDns1123Subdomain } from '#machinery';

/** A new pod as a controller's template says, owned by the controller; its name is generated from the owner's. */
export function podFromTemplate(
  template: PodTemplateSpec,
  owner: KubeObject,
  ownerResource: ResourceInfo,
): NewObject<Pod> {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    metadata: {
      namespace: owner.metadata.namespace,
      generateName: namePrefix(owner.metadata.name),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerReference(owner, ownerResource)],
    },
    spec: template.spec ?? { containers: [] },
  };
}

/** `NAME-`, or the bare name where the dash would make it invalid. */
export function namePrefix(name: string): string {
  const prefix = `${name}-`;
  return validateDns1123Subdomain(`${prefix}a`).length === 0 ? prefix : name;
}
