import type {
  AnyObject,
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionNames,
} from '#api';
import { messageOf, rfc3339 } from '#base';
import type { KindDefinition } from '#kinds';
import { cloneObject, deepEqual, errInvalid, type FieldError, isNotFound } from '#machinery';
import type { ObjectView, ServerObjects } from '../contract.ts';
import { read } from '../bootstrap/put.ts';
import type { KindHooks, ResourceContext } from '../resources/context.ts';
import { approvalErrors, approvalOf } from './approval.ts';
import { conversionOf } from './conversion.ts';
import { kindsOf } from './definitions.ts';
import { isKnownFormat } from './formats.ts';
import { hasRules, someSchema } from './schema-walk.ts';
import { validateDefinitionSchemas } from './schema-validation.ts';
import type { PatternMatcher } from './validation.ts';

const approvalCondition = 'KubernetesAPIApprovalPolicyConformant';
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';
const collection = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** A definition that goes takes its objects along first. */
export const customResourceDefinitionHooks: KindHooks = {
  deletionFinalizers: () => [cleanupFinalizer],
  markDeleted(draft) {
    const { status = {}, metadata } = draft as unknown as CustomResourceDefinition;
    if (status.conditions?.some(({ type }) => type === 'Terminating')) return;
    const pending = {
      lastTransitionTime: metadata.deletionTimestamp,
      ...condition(
        'Terminating',
        'True',
        'InstanceDeletionPending',
        'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
      ),
    } as CustomResourceDefinitionCondition;
    draft.status = { ...status, conditions: [...(status.conditions ?? []), pending] };
  },
  beforeCreate(draft, { request }) {
    const crd = draft as unknown as CustomResourceDefinition;
    request.warnings.push(...unknownFormats(crd).map(formatWarning));
    return checkSchemas(crd, approvalErrors(crd));
  },
  // A definition whose schemas stay as they are is not held to rules that have come since.
  beforeUpdate(draft, old, { request }) {
    const [next, before] = [draft, old] as unknown as CustomResourceDefinition[];
    const crd = next as CustomResourceDefinition;
    const approval = approvalErrors(crd, before);
    const known = new Set(before === undefined ? [] : unknownFormats(before));
    request.warnings.push(
      ...unknownFormats(crd)
        .filter((one) => !known.has(one))
        .map(formatWarning),
    );
    const same = deepEqual(crd.spec.versions, before?.spec.versions);
    return same && approval.length === 0 ? undefined : checkSchemas(crd, approval);
  },
};

const formatWarning = (format: string): string => `unrecognized format ${JSON.stringify(format)}`;

/** Formats in a definition's schemas that mean nothing to the server. */
function unknownFormats({ spec }: CustomResourceDefinition): string[] {
  const found = new Set<string>();
  for (const { schema } of spec.versions)
    if (schema?.openAPIV3Schema !== undefined)
      someSchema(schema.openAPIV3Schema, ({ format = '', type = '' }) => {
        if (format !== '' && !isKnownFormat(format, type)) found.add(format);
        return false;
      });
  return [...found];
}

/** Refuses schemas that are not structural, and rules that do not compile or may cost too much. */
async function checkSchemas(crd: CustomResourceDefinition, more: readonly FieldError[] = []): Promise<undefined> {
  const { RE2JS } = await import('re2js');
  const rules = crd.spec.versions.some(({ schema }) => hasRules(schema?.openAPIV3Schema))
    ? await import('./rules.ts')
    : undefined;
  const compiles = (pattern: string): string | undefined => {
    try {
      RE2JS.compile(pattern);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };
  const errors = [...more, ...validateDefinitionSchemas(crd, { matcher: await linearMatcher(), compiles, rules })];
  if (errors.length > 0)
    throw errInvalid({ group: 'apiextensions.k8s.io', kind: 'CustomResourceDefinition' }, crd.metadata.name, errors);
  return undefined;
}

/** Serves what CustomResourceDefinitions say: adds, replaces and removes kinds, keeps their conditions, cleans up after them. */
export class CustomResources {
  readonly #context: ResourceContext;
  readonly #objects: ServerObjects;
  readonly #view: ObjectView;
  readonly #served = new Map<
    string,
    { readonly from: string; readonly named: string; readonly kinds: readonly KindDefinition[] }
  >();
  readonly #working = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  #matcher: Promise<PatternMatcher> | undefined;
  #forget: (() => void) | undefined;
  #closed = false;

  constructor(context: ResourceContext, objects: ServerObjects) {
    this.#context = context;
    this.#objects = objects;
    this.#view = objects.view('apiextensions.k8s.io/v1', 'customresourcedefinitions');
  }

  /** Resolves when everything that is stored already is served. */
  async start(): Promise<void> {
    await this.#view.ready;
    this.#forget = this.#view.onChange(({ object, old }) => this.#wake(((object ?? old) as AnyObject).metadata.name));
    for (const one of this.#view.list()) this.#wake(one.metadata.name);
    await Promise.all(this.#working.values());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#forget?.();
    await Promise.all(this.#working.values());
  }

  #wake(name: string): void {
    if (this.#closed) return;
    if (this.#working.has(name)) {
      this.#again.add(name);
      return;
    }
    const work = this.#settle(name)
      .catch((error: unknown) =>
        this.#context.log.warn({ name, error: messageOf(error) }, 'a custom resource definition could not be served'),
      )
      .finally(() => {
        this.#working.delete(name);
        if (this.#again.delete(name)) this.#wake(name);
      });
    this.#working.set(name, work);
  }

  async #settle(name: string): Promise<void> {
    const crd = this.#view.get(undefined, name) as unknown as CustomResourceDefinition | undefined;
    if (crd === undefined) return this.#withdraw(name);
    const names = this.#judgeNames(crd);
    if (names.conflict === undefined || this.#served.has(name)) await this.#serve(crd, names.accepted);
    if (crd.metadata.deletionTimestamp !== undefined) await this.#cleanUp(crd);
    else await this.#keepStatus(crd, names);
  }

  /** The first of a definition's names that another of its group, or a built-in kind, has already; and those that are free. */
  #judgeNames(crd: CustomResourceDefinition): { conflict?: NameConflict; accepted: CustomResourceDefinitionNames } {
    const { group, names } = crd.spec;
    const taken = new Set<string>();
    const kinds = new Set<string>();
    for (const { resource } of this.#context.registry.catalogue.all()) {
      if (resource.group !== group || resource.plural === names.plural) continue;
      for (const one of [resource.plural, resource.singular, ...resource.shortNames]) taken.add(one);
      kinds.add(resource.kind);
      kinds.add(`${resource.kind}List`);
    }
    const wanted = namesOf(names);
    const accepted: CustomResourceDefinitionNames = { ...(crd.status?.acceptedNames ?? { plural: '', kind: '' }) };
    const conflicts: NameConflict[] = [];
    const take = (
      field: 'plural' | 'singular' | 'kind' | 'listKind',
      reason: string,
      used: ReadonlySet<string>,
    ): void => {
      const name = wanted[field] ?? '';
      if (name !== accepted[field] && used.has(name)) conflicts.push({ reason, message: inUse(name) });
      else accepted[field] = name;
    };
    take('plural', 'PluralConflict', taken);
    take('singular', 'SingularConflict', taken);
    const before = new Set(accepted.shortNames ?? []);
    const short = (wanted.shortNames ?? []).filter((one) => !before.has(one) && taken.has(one));
    if (short.length > 0) {
      const message = short.length === 1 ? inUse(short[0] as string) : `[${short.map(inUse).join(', ')}]`;
      conflicts.push({ reason: 'ShortNamesConflict', message });
    } else if (wanted.shortNames === undefined) delete accepted.shortNames;
    else accepted.shortNames = wanted.shortNames;
    take('kind', 'KindConflict', kinds);
    take('listKind', 'ListKindConflict', kinds);
    if (wanted.categories === undefined) delete accepted.categories;
    else accepted.categories = wanted.categories;
    const conflict = conflicts.at(-1);
    return conflict === undefined ? { accepted } : { conflict, accepted };
  }

  /** Definitions that wait for a name which is free now. */
  #wakeWaiting(group: string): void {
    for (const one of this.#view.list()) {
      const { spec, metadata } = one as unknown as CustomResourceDefinition;
      if (spec.group === group && !hasCondition(one as unknown as CustomResourceDefinition, 'NamesAccepted'))
        this.#wake(metadata.name);
    }
  }

  async #serve(crd: CustomResourceDefinition, accepted: CustomResourceDefinitionNames): Promise<void> {
    const { name } = crd.metadata;
    const from = JSON.stringify([crd.spec, accepted, crd.metadata.deletionTimestamp !== undefined]);
    const before = this.#served.get(name);
    if (before?.from === from) return;
    const named = JSON.stringify(accepted);
    if (before !== undefined && before.named !== named) this.#wakeWaiting(crd.spec.group);
    this.#matcher ??= linearMatcher();
    const convert = conversionOf(crd, { objects: this.#objects, random: this.#context.random });
    const rules = crd.spec.versions.some(({ schema }) => hasRules(schema?.openAPIV3Schema))
      ? await import('./rules.ts')
      : undefined;
    const kinds = kindsOf({ crd, accepted, matcher: await this.#matcher, convert, compileRules: rules?.compileRules });
    const { catalogue } = this.#context.registry;
    for (const one of before?.kinds ?? []) {
      const { group, version, plural } = one.resource;
      if (!kinds.some((kind) => kind.resource.version === version)) catalogue.remove(group, version, plural);
    }
    for (const one of kinds) catalogue.add(one);
    this.#served.set(name, { from, named, kinds });
  }

  #withdraw(name: string): void {
    const served = this.#served.get(name);
    if (served === undefined) return;
    this.#served.delete(name);
    for (const { resource } of served.kinds)
      this.#context.registry.catalogue.remove(resource.group, resource.version, resource.plural);
    const group = served.kinds[0]?.resource.group;
    if (group !== undefined) this.#wakeWaiting(group);
  }

  async #keepStatus(
    crd: CustomResourceDefinition,
    { conflict, accepted: names }: { conflict?: NameConflict; accepted: CustomResourceDefinitionNames },
  ): Promise<void> {
    const accepted = conflict === undefined;
    const established = accepted || hasCondition(crd, 'Established');
    const approval = approvalOf(crd);
    const wanted = [
      ...(approval === undefined
        ? []
        : [condition(approvalCondition, approval.status, approval.reason, approval.message)]),
      accepted
        ? condition('NamesAccepted', 'True', 'NoConflicts', 'no conflicts found')
        : condition('NamesAccepted', 'False', conflict.reason, conflict.message),
      established
        ? condition('Established', 'True', 'InitialNamesAccepted', 'the initial names have been accepted')
        : condition('Established', 'False', 'NotAccepted', 'not all names are accepted'),
    ];
    await this.#update(crd, (draft) => {
      const status = (draft.status ??= {});
      const now = rfc3339(this.#context.clock.nowMs());
      const conditions = [...(status.conditions ?? [])];
      for (const one of wanted) {
        const at = conditions.findIndex(({ type }) => type === one.type);
        const old = conditions[at];
        const lastTransitionTime = old?.status === one.status ? old.lastTransitionTime : now;
        const next = { lastTransitionTime, ...one } as CustomResourceDefinitionCondition;
        if (at < 0) conditions.push(next);
        else if (old?.status !== one.status || old?.message !== one.message) conditions[at] = next;
      }
      status.conditions = conditions.filter(({ type }) => type !== approvalCondition || approval !== undefined);
      status.acceptedNames = names;
      status.storedVersions ??= crd.spec.versions.filter((one) => one.storage).map((one) => one.name);
    });
  }

  async #cleanUp(crd: CustomResourceDefinition): Promise<void> {
    if (!(crd.metadata.finalizers ?? []).includes(cleanupFinalizer)) return;
    await this.#update(crd, (draft) => {
      const status = (draft.status ??= {});
      const reason = 'InstanceDeletionInProgress';
      const old = status.conditions?.find(({ type }) => type === 'Terminating');
      if (old?.reason === reason) return;
      const terminating = {
        lastTransitionTime: old?.lastTransitionTime ?? rfc3339(this.#context.clock.nowMs()),
        ...condition('Terminating', 'True', reason, 'CustomResource deletion is in progress'),
      } as CustomResourceDefinitionCondition;
      status.conditions = [...(status.conditions ?? []).filter((one) => one !== old), terminating];
    });
    const served = this.#served.get(crd.metadata.name)?.kinds[0];
    const transport = this.#objects.transport();
    if (served !== undefined) {
      const kind = this.#context.registry.of(served);
      const { group, version, plural, namespaced } = served.resource;
      await kind.storage.cache.ready;
      await kind.storage.cache.fresh();
      for (const one of kind.storage.cache.snapshot().slice('', '')) {
        const place = namespaced ? `namespaces/${encodeURIComponent(one.namespace)}/` : '';
        await transport.request({
          method: 'DELETE',
          target: `/apis/${group}/${version}/${place}${plural}/${encodeURIComponent(one.name)}`,
          objects: true,
        });
      }
      await kind.storage.cache.fresh();
      if (kind.storage.cache.size > 0) {
        const forget = kind.storage.cache.watch(
          {},
          ({ previous }) => {
            // One that was under way when the definition went is deleted too.
            if (kind.storage.cache.size > 0 && previous !== undefined) return;
            forget();
            this.#wake(crd.metadata.name);
          },
          () => {},
        );
        return;
      }
    }
    await this.#update(
      crd,
      (draft) => {
        draft.metadata.finalizers = (draft.metadata.finalizers ?? []).filter((one) => one !== cleanupFinalizer);
      },
      '',
    );
  }

  /** Reads, changes and writes until no one else was faster. */
  async #update(
    crd: CustomResourceDefinition,
    change: (draft: CustomResourceDefinition) => void,
    subresource = '/status',
  ): Promise<void> {
    const transport = this.#objects.transport();
    const target = `${collection}/${crd.metadata.name}`;
    for (let attempt = 0; attempt < 5; attempt++) {
      const current = await read(transport, target).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (current === undefined || current.metadata.uid !== crd.metadata.uid) return;
      const draft = cloneObject(current);
      change(draft as unknown as CustomResourceDefinition);
      if (deepEqual(draft, current)) return;
      const written = await transport.request({
        method: 'PUT',
        target: target + subresource,
        objectBody: draft,
        objects: true,
        headers: { 'user-agent': 'kube-apiserver' },
      });
      if (written.status !== 409) {
        if (written.status >= 300) throw new Error(JSON.stringify(written.object));
        return;
      }
    }
  }
}

function condition(
  type: string,
  status: string,
  reason: string,
  message: string,
): Pick<CustomResourceDefinitionCondition, 'type' | 'status' | 'reason' | 'message'> {
  return { type, status, reason, message };
}

interface NameConflict {
  readonly reason: string;
  readonly message: string;
}

const inUse = (name: string): string => `${JSON.stringify(name)} is already in use`;

function hasCondition(crd: CustomResourceDefinition, type: string): boolean {
  return crd.status?.conditions?.some((one) => one.type === type && one.status === 'True') ?? false;
}

function namesOf(names: CustomResourceDefinitionNames): CustomResourceDefinitionNames {
  return {
    ...names,
    singular: names.singular ?? names.kind.toLowerCase(),
    listKind: names.listKind ?? `${names.kind}List`,
  };
}

/** User patterns run on RE2: linear in the text, whatever the pattern. Compiled once each. */
async function linearMatcher(): Promise<PatternMatcher> {
  const { RE2JS } = await import('re2js');
  const compiled = new Map<string, (text: string) => boolean>();
  return (pattern) => {
    let match = compiled.get(pattern);
    if (match === undefined) {
      try {
        const expression = RE2JS.compile(pattern);
        match = (text) => expression.matcher(text).find();
      } catch {
        match = () => true;
      }
      if (compiled.size > 10_000) compiled.clear();
      compiled.set(pattern, match);
    }
    return match;
  };
}
