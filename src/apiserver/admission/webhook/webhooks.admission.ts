import { type AnyObject, builtinSchema, type SchemaNode } from '#api';
import type { KindDefinition } from '#kinds';
import { applyJsonPatch, applySchemaDefaults, cloneObject, deepEqual, errInternal, pruneUnknown } from '#machinery';
import { messageOf } from '#base';
import type { AdmissionAttributes, AdmissionPlugin, ObjectView, ServerObjects } from '../../contract.ts';
import { labelText } from '../../http/measures.ts';
import { seenAs, versionFor } from '../equivalent.ts';
import type { AdmissionOptions } from '../options.ts';
import { askWebhook, replaceContent } from './review.ts';
import type { ServiceResolver } from './webhook-client.ts';
import { type RequestKind, selectorsMatch, type Webhook, webhooksOf } from './webhook-rules.ts';

const ownGroup = 'admissionregistration.k8s.io';

/** What one of the two plugins knows of its webhooks. */
interface Hooks {
  /** Whether any webhook may care; true while the configurations are not known yet. */
  readonly handles: NonNullable<AdmissionPlugin['handles']>;
  /** Those whose rules name the request, in their order. */
  candidates(attributes: AdmissionAttributes): Promise<Match[]>;
  /** Whether selectors and match conditions hold for the object as it is now. */
  holds(match: Match, attributes: AdmissionAttributes): Promise<boolean>;
}

interface Match {
  readonly webhook: Webhook;
  /** In which it sees the request. */
  readonly version: string;
  /** Among all webhooks of its type: audit annotations name it. */
  readonly index: number;
}

function openHooks(options: AdmissionOptions, plural: string): Hooks {
  const { objects } = options;
  const view = objects.view(`${ownGroup}/v1`, plural);
  const namespaces = objects.view('v1', 'namespaces');
  let known: { readonly generation: number; readonly hooks: readonly Webhook[] } | undefined;
  const hooks = (source: ObjectView): readonly Webhook[] => {
    if (known === undefined || known.generation !== source.generation)
      known = { generation: source.generation, hooks: webhooksOf(source.list()) };
    return known.hooks;
  };
  return {
    handles(operation, definition, subresource) {
      if (definition === undefined || definition.resource.group === ownGroup) return false;
      if (!view.isReady) return true;
      const all = hooks(view);
      if (all.length === 0) return false;
      const { group, version, plural: resource, namespaced } = definition.resource;
      const request: RequestKind = { operation, group, version, resource, subresource, namespaced };
      return all.some(({ rules, exact }) => versionFor(rules, request, { exact, objects }) !== undefined);
    },
    async candidates(attributes) {
      if (!view.isReady) {
        await view.ready;
        known = undefined;
      }
      if (!namespaces.isReady) await namespaces.ready;
      const { operation, version, resource, subresource, definition } = attributes;
      const request: RequestKind = {
        operation,
        group: definition?.resource.group ?? attributes.group,
        version: definition?.resource.version ?? version,
        resource,
        subresource,
        namespaced: definition?.resource.namespaced ?? attributes.namespace !== '',
      };
      return hooks(view).flatMap((webhook, index): Match[] => {
        const seen = versionFor(webhook.rules, request, { exact: webhook.exact, objects });
        return seen === undefined ? [] : [{ webhook, version: seen, index }];
      });
    },
    async holds({ webhook, version }, attributes) {
      if (!selectorsMatch(webhook, attributes, namespaces)) return false;
      if (webhook.matchConditions.length === 0) return true;
      const { conditionsHold } = await import('./match-conditions.ts');
      const seen = await seenAs(attributes, version, objects);
      return conditionsHold(webhook, {
        attributes: seen.attributes,
        authorizer: options.authorizer,
        namespaces,
      });
    },
  };
}

/** The schema of a kind: its own, or that of the message it is encoded as. */
function nodeOf(definition: KindDefinition | undefined): SchemaNode | undefined {
  if (definition === undefined) return undefined;
  const { typeName } = definition.resource;
  return definition.schema ?? (typeName === undefined ? undefined : builtinSchema.type(typeName));
}

/** What a request's first round leaves for its second. */
interface FirstRound {
  /** Webhooks that ran and may run again. */
  readonly eligible: Match[];
  /** Of these, the ones before which the object was not yet what a later webhook made of it. */
  again: readonly Match[];
  /** The object as the last webhook left it. */
  output: object | undefined;
}

/** Mutating webhooks, one after the other; those that ask for it once more when somebody later has changed the object. */
export function mutatingWebhooks(options: AdmissionOptions): AdmissionPlugin {
  const hooks = openHooks(options, 'mutatingwebhookconfigurations');
  const resolve = options.resolveService ?? clusterIpResolver(options);
  const firstRounds = new WeakMap<AdmissionAttributes['reinvocation'], FirstRound>();

  /** True when the webhook has changed the object. */
  const invoke = async ({ webhook, version, index }: Match, original: AdmissionAttributes): Promise<boolean> => {
    const { attributes, back } = await seenAs(original, version, options.objects);
    const uid = options.random.uuid();
    const place = `round_${original.reinvocation.round}_index_${index}`;
    const asking = askWebhook({ webhook, attributes, original, uid, resolve, mutating: true, place });
    const by = { configuration: webhook.configuration, webhook: webhook.name };
    let mutated = false;
    try {
      const { patch } = await measured(options.objects, { webhook, attributes, type: 'admit', asking });
      if (patch === undefined || patch.length === 0) return false;
      const { object, definition, subresource } = attributes;
      if (object === undefined)
        throw errInternal(
          `admission webhook ${JSON.stringify(webhook.name)} attempted to modify the object, which is not supported for this operation`,
        );
      const node = subresource === '' || subresource === 'status' ? nodeOf(definition) : undefined;
      const patched = patchedBy(object, patch, node);
      if (subresource === '') definition?.applyDefaults?.(patched);
      mutated = !deepEqual(object, patched);
      attributes.annotate(
        `patch.webhook.admission.k8s.io/${place}`,
        JSON.stringify({ ...by, patch, patchType: 'JSONPatch' }),
        'Request',
      );
      if (!mutated) return false;
      replaceContent(object, patched);
      await back();
      return true;
    } finally {
      attributes.annotate(`${mutationPrefix}${place}`, JSON.stringify({ ...by, mutated }));
    }
  };

  const firstRound = async (attributes: AdmissionAttributes): Promise<void> => {
    const left: FirstRound = { eligible: [], again: [], output: undefined };
    for (const match of await hooks.candidates(attributes)) {
      if (!(await hooks.holds(match, attributes))) continue;
      if (await invoke(match, attributes)) {
        left.again = [...left.eligible];
        attributes.reinvocation.needed = true;
      }
      if (match.webhook.reinvoke) left.eligible.push(match);
    }
    if (!attributes.reinvocation.needed || left.eligible.length === 0) return;
    left.output = attributes.object === undefined ? undefined : cloneObject(attributes.object);
    firstRounds.set(attributes.reinvocation, left);
  };

  return {
    name: 'MutatingAdmissionWebhook',
    handles: hooks.handles,
    async mutate(attributes) {
      if (attributes.reinvocation.round === 0) return firstRound(attributes);
      const left = firstRounds.get(attributes.reinvocation);
      if (left === undefined) return;
      const changedSince = !deepEqual(left.output, attributes.object);
      for (const match of changedSince ? left.eligible : left.again)
        if (await hooks.holds(match, attributes)) await invoke(match, attributes);
    },
  };
}

const mutationPrefix = 'mutation.webhook.admission.k8s.io/';

/** The object with the patch applied, without fields that its kind does not have. A patch that does not fit is the request's failure. */
function patchedBy(object: AnyObject, patch: readonly object[], node: SchemaNode | undefined): AnyObject {
  try {
    const patched = applyJsonPatch(object, patch);
    if (node === undefined) return patched;
    pruneUnknown(patched, node);
    applySchemaDefaults(patched, node);
    return patched;
  } catch (error) {
    throw errInternal(messageOf(error));
  }
}

/** Validating webhooks, all at once; the first refusal in their order is the answer. */
export function validatingWebhooks(options: AdmissionOptions): AdmissionPlugin {
  const hooks = openHooks(options, 'validatingwebhookconfigurations');
  const resolve = options.resolveService ?? clusterIpResolver(options);
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: hooks.handles,
    async validate(attributes) {
      const matching: Match[] = [];
      for (const match of await hooks.candidates(attributes))
        if (await hooks.holds(match, attributes)) matching.push(match);
      const results = await Promise.allSettled(
        matching.map(async ({ webhook, version }, index) => {
          const seen = await seenAs(attributes, version, options.objects);
          const uid = options.random.uuid();
          const asking = askWebhook({
            webhook,
            attributes: seen.attributes,
            original: attributes,
            uid,
            resolve,
            mutating: false,
            place: `round_0_index_${index}`,
          });
          return measured(options.objects, { webhook, attributes, type: 'validating', asking });
        }),
      );
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    },
  };
}

/** Says how long a webhook took, and whether it refused or failed. */
async function measured<T>(
  { measures }: ServerObjects,
  call: { webhook: Webhook; attributes: AdmissionAttributes; type: 'admit' | 'validating'; asking: Promise<T> },
): Promise<T> {
  if (measures === undefined) return call.asking;
  const beganMs = measures.clock.monotonicMs();
  let rejected = true;
  try {
    const answer = await call.asking;
    rejected = false;
    return answer;
  } finally {
    const labels = `name="${labelText(call.webhook.name)}",type="${call.type}",operation="${call.attributes.operation}",rejected="${rejected}"`;
    const seconds = (measures.clock.monotonicMs() - beganMs) / 1000;
    measures.observe('apiserver_admission_webhook_admission_duration_seconds', labels, seconds);
  }
}

/** A Service's cluster IP, where the server's own machine routes to it. */
function clusterIpResolver({ objects }: AdmissionOptions): ServiceResolver {
  const view = objects.view('v1', 'services');
  return async ({ namespace, name, port }) => {
    await view.ready;
    const spec = view.get(namespace, name)?.spec as
      | { clusterIP?: string; type?: string; externalName?: string; ports?: readonly { port: number }[] }
      | undefined;
    if (spec === undefined) throw new Error(`service ${JSON.stringify(name)} not found`);
    if (spec.type === 'ExternalName') return { host: spec.externalName ?? '', port };
    if (!(spec.ports ?? []).some((one) => one.port === port))
      throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
    return { host: spec.clusterIP ?? '', port };
  };
}
