import {
  type ControllerRevision,
  type KubeObject,
  type LabelSelector,
  type NewObject,
  type PodTemplateSpec,
  type ResourceInfo,
  resource,
} from '#api';
import type { Client, Informer } from '#client';
import {
  controllerReference,
  deepEqual,
  fnv32a,
  isAlreadyExists,
  isNotFound,
  labelSelectorOf,
  safeEncode,
} from '#machinery';
import { claim } from '../ownership/claim.ts';

export const revisionHashLabel = 'controller-revision-hash';
const revisions = resource('apps/v1', 'controllerrevisions');

/**
 * What a revision keeps of its owner: the pod template, in the form that `kubectl rollout undo` sends back. Keys in order and a
 * null creationTimestamp, so that clients which compare the bytes with their own find them equal.
 */
export function revisionData(template: PodTemplateSpec): object {
  const metadata = { creationTimestamp: null, ...template.metadata };
  return sorted({ spec: { template: { ...template, metadata, $patch: 'replace' } } }) as object;
}

/** A copy with the keys of every object in order. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, sorted(one)]));
}

/** The template in a revision. */
export function templateIn(revision: ControllerRevision): PodTemplateSpec {
  const { spec } = (revision.data ?? {}) as { spec?: { template?: PodTemplateSpec & { $patch?: string } } };
  const { $patch: _, metadata, ...template } = spec?.template ?? {};
  const { creationTimestamp: __, ...rest } = metadata ?? {};
  return { ...template, metadata: rest };
}

function saysTheSame(revision: ControllerRevision, template: PodTemplateSpec): boolean {
  const { creationTimestamp: _, ...metadata } = template.metadata ?? {};
  return deepEqual(templateIn(revision), { ...template, metadata });
}

export interface RevisionOwner extends KubeObject {
  spec: { selector: LabelSelector; template: PodTemplateSpec; revisionHistoryLimit?: number };
  status?: { collisionCount?: number };
}

export interface RevisionHistory {
  /** The one that says what the owner says now. */
  readonly current: ControllerRevision;
  /** All others, oldest first. */
  readonly others: readonly ControllerRevision[];
  /** To write into the owner's status when a name was taken. */
  readonly collisionCount?: number;
}

export const byRevision = (a: ControllerRevision, b: ControllerRevision): number =>
  Number(a.revision) - Number(b.revision) || (a.metadata.name < b.metadata.name ? -1 : 1);

export interface RevisionOptions {
  readonly client: Client;
  readonly informer: Informer<ControllerRevision>;
  readonly owner: RevisionOwner;
  readonly ownerResource: ResourceInfo;
}

/** The owner's revisions, with one that equals its present template: made new, or an old one given the newest number. */
export async function currentRevision(options: RevisionOptions): Promise<RevisionHistory> {
  const { client, informer, owner, ownerResource } = options;
  const selector = labelSelectorOf(owner.spec.selector);
  const known = (await claim({ client, owner, ownerResource, informer, selector })).toSorted(byRevision);
  const data = revisionData(owner.spec.template);
  const newest = Number(known.at(-1)?.revision ?? 0);
  const equal = known.findLast((one) => saysTheSame(one, owner.spec.template));
  if (equal !== undefined) {
    const others = known.filter((one) => one !== equal);
    if (Number(equal.revision) >= newest) return { current: equal, others };
    const raised = await client.update<ControllerRevision>(revisions, { ...equal, revision: newest + 1 });
    informer.observe(raised);
    return { current: raised, others };
  }
  return makeRevision(options, data, newest + 1, known);
}

async function makeRevision(
  { client, informer, owner, ownerResource }: RevisionOptions,
  data: object,
  number: number,
  others: readonly ControllerRevision[],
): Promise<RevisionHistory> {
  let collisions = owner.status?.collisionCount ?? 0;
  const first = collisions;
  for (;;) {
    const hash = safeEncode(
      String(fnv32a(JSON.stringify(data, bigintText) + (collisions === 0 ? '' : `#${collisions}`))),
    );
    const { namespace, name } = owner.metadata;
    const wanted: NewObject<ControllerRevision> = {
      metadata: {
        namespace,
        name: `${name.slice(0, 223)}-${hash}`,
        labels: { ...owner.spec.template.metadata?.labels, [revisionHashLabel]: hash },
        ownerReferences: [controllerReference(owner, ownerResource)],
        ...(owner.metadata.annotations === undefined ? {} : { annotations: owner.metadata.annotations }),
      },
      data,
      revision: number,
    };
    try {
      const current = await client.create<ControllerRevision>(revisions, wanted);
      informer.observe(current);
      return { current, others, ...(collisions === first ? {} : { collisionCount: collisions }) };
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const there = await client.get<ControllerRevision>(revisions, wanted.metadata.name as string, { namespace });
      if (
        deepEqual(there.data, data) &&
        there.metadata.ownerReferences?.some((one) => one.uid === owner.metadata.uid)
      ) {
        return { current: there, others };
      }
      collisions++;
    }
  }
}

const bigintText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

/** Deletes the oldest revisions beyond the limit that no pod is made from. `inUse` has hashes or names. */
export async function pruneRevisions(
  client: Client,
  others: readonly ControllerRevision[],
  inUse: ReadonlySet<string>,
  limit: number,
): Promise<void> {
  const idle = others.filter((one) => !inUse.has(hashOf(one)) && !inUse.has(one.metadata.name));
  for (const { metadata } of idle.slice(0, Math.max(0, idle.length - limit))) {
    await client
      .delete(revisions, metadata.name, { namespace: metadata.namespace, preconditions: { uid: metadata.uid } })
      .catch((error) => {
        if (!isNotFound(error)) throw error;
      });
  }
}

export function hashOf({ metadata }: KubeObject): string {
  return metadata.labels?.[revisionHashLabel] ?? '';
}
