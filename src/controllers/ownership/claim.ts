import type { KubeObject, ResourceInfo } from '#api';
import type { Client, Informer, InformerOptions } from '#client';
import { controllerReference, isInvalid, isNotFound, type LabelSelector } from '#machinery';

/** Index of objects without a controlling owner, by namespace. */
export const orphansIndex = 'orphans';

export const claimIndexes: NonNullable<InformerOptions<KubeObject>['indexes']> = {
  [orphansIndex]: (object) =>
    object.metadata.ownerReferences?.some((one) => one.controller === true) ? [] : [object.metadata.namespace ?? ''],
};

export interface ClaimOptions<T extends KubeObject> {
  readonly client: Client;
  readonly owner: KubeObject;
  readonly ownerResource: ResourceInfo;
  /** What is claimed; needs `claimIndexes`. */
  readonly informer: Informer<T>;
  readonly selector: LabelSelector;
  /** Orphans to leave alone though they match. */
  readonly mayAdopt?: (object: T) => boolean;
}

/**
 * The objects an owner controls, made to agree with its selector: orphans that match are adopted (after asking the server whether
 * the owner still lives), owned ones that no longer match are released. A dying owner claims nothing new.
 */
export async function claim<T extends KubeObject>(options: ClaimOptions<T>): Promise<T[]> {
  const { owner, informer, selector, mayAdopt = () => true } = options;
  const claimed: T[] = [];
  const dying = owner.metadata.deletionTimestamp !== undefined;
  for (const object of informer.byIndex('owner', owner.metadata.uid)) {
    if (selector.matches(object.metadata.labels)) claimed.push(object);
    else if (!dying) await release(object, options);
  }
  if (dying) return claimed;
  let alive: boolean | undefined;
  for (const object of informer.byIndex(orphansIndex, owner.metadata.namespace ?? '')) {
    if (
      object.metadata.deletionTimestamp !== undefined ||
      !selector.matches(object.metadata.labels) ||
      !mayAdopt(object)
    )
      continue;
    alive ??= await isAlive(options);
    if (!alive) break;
    const adopted = await adopt(object, options);
    if (adopted !== undefined) claimed.push(adopted);
  }
  return claimed;
}

async function isAlive<T extends KubeObject>({ client, owner, ownerResource }: ClaimOptions<T>): Promise<boolean> {
  try {
    const live = await client.get(ownerResource, owner.metadata.name, { namespace: owner.metadata.namespace });
    return live.metadata.uid === owner.metadata.uid && live.metadata.deletionTimestamp === undefined;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

async function adopt<T extends KubeObject>(object: T, options: ClaimOptions<T>): Promise<T | undefined> {
  const { client, owner, ownerResource, informer } = options;
  const body = { metadata: { uid: object.metadata.uid, ownerReferences: [controllerReference(owner, ownerResource)] } };
  return gone(async () => {
    const adopted = await client.patch<T>(
      informer.resource,
      object.metadata.name,
      { type: 'strategic', body },
      object.metadata,
    );
    informer.observe(adopted);
    return adopted;
  });
}

async function release<T extends KubeObject>(object: T, options: ClaimOptions<T>): Promise<void> {
  const { client, owner, informer } = options;
  const body = {
    metadata: { uid: object.metadata.uid, ownerReferences: [{ $patch: 'delete', uid: owner.metadata.uid }] },
  };
  await gone(async () => {
    informer.observe(
      await client.patch<T>(informer.resource, object.metadata.name, { type: 'strategic', body }, object.metadata),
    );
    return undefined;
  });
}

/** An object that went away meanwhile, or is another one of the same name, is none to claim. */
async function gone<R>(act: () => Promise<R>): Promise<R | undefined> {
  try {
    return await act();
  } catch (error) {
    if (isNotFound(error) || isInvalid(error)) return undefined;
    throw error;
  }
}
