import type { AnyObject, ManagedFieldsEntry } from '#api';
import { allMetadata, type KindDefinition, type MetadataField } from '#kinds';
import { entryProblem, type FieldSet, trackUpdate } from '#machinery';
import type { ServerRequest } from '../contract.ts';
import type { Admission } from './admit.ts';
import type { ResourceContext } from './context.ts';
import type { KindResource } from './kind-resource.ts';
import { managerOf, type WriteOptions } from './write-options.ts';

/** Fields of metadata that a write of the status leaves as they are. */
export function keptMetadata(definition: KindDefinition): readonly MetadataField[] {
  return definition.statusKeeps ?? (definition.schema === undefined ? [] : allMetadata);
}

const resets = new WeakMap<KindDefinition, Map<string, FieldSet>>();

/**
 * What a write through the resource or its status sets back to what is stored, whatever was sent: nobody comes to own it that way. (Other
 * sub-resources take from the request only what they are for.)
 */
export function resetFields(definition: KindDefinition, subresource: string): FieldSet | undefined {
  if (definition.status !== true || (subresource !== '' && subresource !== 'status')) return undefined;
  let known = resets.get(definition);
  if (known === undefined) resets.set(definition, (known = new Map()));
  let reset = known.get(subresource);
  if (reset === undefined) {
    const metadata = Object.fromEntries(keptMetadata(definition).map((name) => [`f:${name}`, {}]));
    reset =
      subresource === ''
        ? { 'f:status': {} }
        : { 'f:spec': {}, 'f:metadata': { ...metadata, 'f:deletionTimestamp': {} } };
    known.set(subresource, reset);
  }
  return reset;
}

export interface Claim {
  readonly context: ResourceContext;
  readonly kind: KindResource;
  readonly request: ServerRequest;
  readonly options: WriteOptions;
  readonly subresource: string;
}

/**
 * Enters into the draft's books that the request's manager changed what differs from the stored object. Before admission and preparation, as
 * upstream: what these add is nobody's, and the next server-side apply of the same manifest does not take it away.
 */
export function claimChanges(claim: Claim, draft: AnyObject, live: AnyObject | undefined): void {
  const { context, kind, request, options, subresource } = claim;
  trackUpdate({
    live,
    updated: draft,
    manager: managerOf(request, options),
    operation: 'Update',
    node: kind.node,
    apiVersion: kind.apiVersion,
    subresource,
    reset: resetFields(kind.definition, subresource),
    nowMs: context.clock.nowMs(),
  });
}

/** Lets admission change the draft; books that it spoiled are set back, with a warning. */
export async function mutateKeepingBooks(
  admission: Admission,
  draft: AnyObject,
  request: ServerRequest,
): Promise<void> {
  const before = draft.metadata?.managedFields;
  await admission.mutate();
  if (!admission.mutates) return;
  const after: readonly ManagedFieldsEntry[] = draft.metadata.managedFields ?? [];
  const problem = after.map(entryProblem).find((one) => one !== undefined);
  if (problem === undefined) return;
  if (before === undefined) delete draft.metadata.managedFields;
  else draft.metadata.managedFields = before;
  request.warnings.push(
    `.metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests: ${problem}`,
  );
}
