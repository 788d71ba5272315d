import { apiVersionOf, type KubeObject, type OwnerReference, type ResourceInfo } from '#api';

/** The owner that manages the object, if any. */
export function controllerOf(object: {
  readonly metadata: { readonly ownerReferences?: readonly OwnerReference[] };
}): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((one) => one.controller === true);
}

/** A reference to `owner` as controller, that keeps the owner from going away first. */
export function controllerReference(owner: KubeObject, info: ResourceInfo): OwnerReference {
  return {
    apiVersion: apiVersionOf(info),
    kind: info.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}
