import { builtinSchema, type SchemaNode } from '#api';
import type { KindDefinition } from '#kinds';
import { applyJsonPatch, cloneObject, errInternal, pruneUnknown } from '#machinery';
import { messageOf } from '#base';
import type { AdmissionAttributes, AdmissionPlugin, ObjectView, ServerObjects } from '../../contract.ts';
import { labelText } from '../../http/measures.ts';
import { seenAs, versionFor } from '../equivalent.ts';
import type { AdmissionOptions } from '../options.ts';
import { askWebhook, replaceContent } from './review.ts';
import type { ServiceResolver } from './webhook-client.ts';
import { type RequestKind, selectorsMatch, type Webhook, webhooksOf } from './webhook-rules.ts';

const ownGroup = 'admissionregistration.k8s.io';

interface Hooks {
  /** Whether any webhook may care; true while the configurations are not known yet. */
  readonly handles: NonNullable<AdmissionPlugin['handles']>;
  matching(attributes: AdmissionAttributes): Promise<Match[]>;
}

interface Match {
  readonly webhook: Webhook;
  /** In which it sees the request. */
  readonly version: string;
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
    async matching(attributes) {
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
      const found = hooks(view).flatMap((webhook): Match[] => {
        const seen = versionFor(webhook.rules, request, { exact: webhook.exact, objects });
        return seen === undefined || !selectorsMatch(webhook, attributes, namespaces)
          ? []
          : [{ webhook, version: seen }];
      });
      if (found.every(({ webhook }) => webhook.matchConditions.length === 0)) return found;
      const { conditionsHold } = await import('./match-conditions.ts');
      const held: Match[] = [];
      for (const one of found) {
        const seen = await seenAs(attributes, one.version, objects);
        const question = { attributes: seen.attributes, authorizer: options.authorizer, namespaces };
        if (await conditionsHold(one.webhook, question)) held.push(one);
      }
      return held;
    },
  };
}

/** The schema of a kind: its own, or that of the message it is encoded as. */
function nodeOf(definition: KindDefinition | undefined): SchemaNode | undefined {
  if (definition === undefined) return undefined;
  const { typeName } = definition.resource;
  return definition.schema ?? (typeName === undefined ? undefined : builtinSchema.type(typeName));
}

/** Mutating webhooks, one after the other; those that ask for it once more when a later one has changed the object. */
export function mutatingWebhooks(options: AdmissionOptions): AdmissionPlugin {
  const hooks = openHooks(options, 'mutatingwebhookconfigurations');
  const resolve = options.resolveService ?? clusterIpResolver(options);
  const invoke = async ({ webhook, version }: Match, original: AdmissionAttributes): Promise<boolean> => {
    const { attributes, back } = await seenAs(original, version, options.objects);
    const uid = options.random.uuid();
    const asking = askWebhook({ webhook, attributes, original, uid, resolve, mutating: true });
    const { patch } = await measured(options.objects, { webhook, attributes, type: 'admit', asking });
    if (patch === undefined || patch.length === 0 || attributes.object === undefined) return false;
    try {
      const { object, definition, subresource } = attributes;
      replaceContent(object, applyJsonPatch(cloneObject(object), patch as never));
      const node = subresource === '' || subresource === 'status' ? nodeOf(definition) : undefined;
      if (node !== undefined) pruneUnknown(object, node);
      await back();
    } catch (error) {
      throw errInternal(`failed calling webhook ${JSON.stringify(webhook.name)}: ${messageOf(error)}`);
    }
    return true;
  };
  return {
    name: 'MutatingAdmissionWebhook',
    handles: hooks.handles,
    async mutate(attributes) {
      const called: Match[] = [];
      let again: Match[] = [];
      for (const match of await hooks.matching(attributes)) {
        if (await invoke(match, attributes)) again = called.filter((one) => one.webhook.reinvoke);
        called.push(match);
      }
      for (const match of again) await invoke(match, attributes);
    },
  };
}

/** Validating webhooks, all at once; the first refusal in their order is the answer. */
export function validatingWebhooks(options: AdmissionOptions): AdmissionPlugin {
  const hooks = openHooks(options, 'validatingwebhookconfigurations');
  const resolve = options.resolveService ?? clusterIpResolver(options);
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: hooks.handles,
    async validate(attributes) {
      const matching = await hooks.matching(attributes);
      if (matching.length === 0) return;
      const results = await Promise.allSettled(
        matching.map(async ({ webhook, version }) => {
          const seen = await seenAs(attributes, version, options.objects);
          const uid = options.random.uuid();
          const asking = askWebhook({
            webhook,
            attributes: seen.attributes,
            original: attributes,
            uid,
            resolve,
            mutating: false,
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
