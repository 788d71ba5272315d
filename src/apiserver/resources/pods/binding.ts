import { type AnyObject, type Binding, builtinSchema, type Pod, type Status } from '#api';
import { rfc3339 } from '#base';
import {
  errBadRequest,
  errConflict,
  errInvalid,
  errNotFound,
  invalidError,
  notSupportedError,
  requiredError,
} from '#machinery';
import type { ServerRequest, ServerResponse } from '../../contract.ts';
import { admit } from '../admit.ts';
import type { ResourceContext, Verb } from '../context.ts';
import type { KindResource } from '../kind-resource.ts';
import { builtinDraft, readDraft } from '../read-draft.ts';
import { respondPlain } from '../respond-object.ts';
import { updateObject } from '../update.ts';
import { type WriteOptions, writeOptions } from '../write-options.ts';

const bindingType = builtinDraft('v1', 'Binding', 'core/v1.Binding');
const success: Status = Object.freeze({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });

/** POST pods/NAME/binding: the scheduler's decision. */
export const bindPod: Verb = async (context, kind, request) => {
  const options = writeOptions(request, 'CreateOptions');
  const binding = (await readDraft(request, bindingType, options)) as AnyObject & Binding;
  binding.metadata.name ||= request.info.name;
  if (binding.metadata.name !== request.info.name) {
    throw errBadRequest(`name in URL does not match name in Binding object`);
  }
  return bind(context, kind, request, { binding, options });
};

/** POST namespaces/NS/bindings: the same with the pod's name in the body. */
export const createBinding: Verb = async (context, _kind, request) => {
  const options = writeOptions(request, 'CreateOptions');
  const binding = (await readDraft(request, bindingType, options)) as AnyObject & Binding;
  const pods = context.registry.find('', 'v1', 'pods') as KindResource;
  return bind(context, pods, request, { binding, options });
};

async function bind(
  context: ResourceContext,
  pods: KindResource,
  request: ServerRequest,
  { binding, options }: { binding: AnyObject & Binding; options: WriteOptions },
): Promise<ServerResponse> {
  const { name } = binding.metadata;
  const { target } = binding;
  const errors = [];
  if (target?.kind !== undefined && target.kind !== '' && target.kind !== 'Node') {
    errors.push(notSupportedError('target.kind', target.kind, ['Node', '<empty>']));
  }
  if ((target?.name ?? '') === '') errors.push(requiredError('target.name'));
  if ((name ?? '') === '') errors.push(requiredError('metadata.name'));
  const { namespace } = request.info;
  if ((binding.metadata.namespace ?? namespace) !== namespace) {
    errors.push(
      invalidError(
        'metadata.namespace',
        binding.metadata.namespace,
        'does not match the namespace sent on the request',
      ),
    );
  }
  if (errors.length > 0) throw errInvalid({ group: '', kind: 'Binding' }, name ?? '', errors);
  const admission = admit({
    context,
    request,
    operation: 'CREATE',
    definition: pods.definition,
    subresource: 'binding',
    kind: { group: '', version: 'v1', kind: 'Binding' },
    object: binding,
    dryRun: options.dryRun,
  });
  await admission.mutate();
  await admission.validate();
  const current = await pods.storage.get(pods.key(namespace, name));
  if (current === undefined) throw errNotFound(pods.groupResource, name);
  await updateObject({
    context,
    kind: pods,
    request,
    options,
    subresource: 'binding',
    current,
    conditional: false,
    admitted: true,
    managed: true,
    unchecked: true,
    change: (old) => boundPod(context, pods, old, binding),
  });
  return respondPlain(request, success, builtinSchema.type('meta/v1.Status'), 201);
}

function boundPod(
  context: ResourceContext,
  pods: KindResource,
  old: AnyObject,
  { metadata, target }: Binding,
): AnyObject {
  const pod = old as unknown as Pod;
  const refuse = (why: string): Error => errConflict({ group: '', plural: 'pods/binding' }, pod.metadata.name, why);
  if (metadata.uid !== undefined && metadata.uid !== '' && metadata.uid !== pod.metadata.uid) {
    throw errConflict(
      pods.groupResource,
      pod.metadata.name,
      `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${pod.metadata.uid}`,
    );
  }
  if (pod.metadata.deletionTimestamp !== undefined)
    throw refuse(`pod ${pod.metadata.name} is being deleted, cannot be assigned to a host`);
  if ((pod.spec?.nodeName ?? '') !== '') {
    throw refuse(`pod ${pod.metadata.name} is already assigned to node ${JSON.stringify(pod.spec?.nodeName)}`);
  }
  if ((pod.spec?.schedulingGates ?? []).length > 0)
    throw refuse(`pod ${pod.metadata.name} has non-empty .spec.schedulingGates`);
  // What does not change stays the old pod's, frozen.
  const draft = { ...pod, metadata: { ...pod.metadata } } as Pod;
  draft.spec = { ...(draft.spec as NonNullable<Pod['spec']>), nodeName: target?.name ?? '' };
  if (metadata.annotations !== undefined)
    draft.metadata.annotations = { ...draft.metadata.annotations, ...metadata.annotations };
  if (metadata.labels !== undefined) draft.metadata.labels = { ...draft.metadata.labels, ...metadata.labels };
  const conditions = (draft.status?.conditions ?? []).filter((one) => one.type !== 'PodScheduled');
  const lastTransitionTime = rfc3339(context.clock.nowMs());
  conditions.push({ type: 'PodScheduled', status: 'True', lastProbeTime: null as never, lastTransitionTime });
  draft.status = { ...draft.status, conditions };
  return draft as unknown as AnyObject;
}
