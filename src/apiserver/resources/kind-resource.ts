import { type AnyObject, apiVersionOf, builtinSchema, type ResourceInfo, type SchemaNode } from '#api';
import type { KindDefinition } from '#kinds';
import { cloneObject } from '#machinery';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { ObjectStorage } from './object-storage.ts';

/** One served kind in one version, with all that its verbs need. Made once per definition. */
export class KindResource {
  readonly definition: KindDefinition;
  readonly info: ResourceInfo;
  readonly apiVersion: string;
  /** How errors name it. */
  readonly groupResource: { readonly group: string; readonly plural: string };
  /** The group is that of the version which is stored: errors speak of what validation sees. */
  readonly groupKind: { readonly group: string; readonly kind: string };
  readonly #storage: (() => ObjectStorage) | undefined;
  #node: SchemaNode | undefined;

  constructor(definition: KindDefinition, storage: (() => ObjectStorage) | undefined) {
    const info = definition.resource;
    this.definition = definition;
    this.info = info;
    this.apiVersion = apiVersionOf(info);
    this.groupResource = { group: info.group, plural: info.plural };
    const { storageVersion = this.apiVersion } = definition;
    const [, group = ''] = storageVersion.split('/').reverse();
    this.groupKind = { group, kind: info.kind };
    this.#storage = storage;
  }

  get isStored(): boolean {
    return this.#storage !== undefined;
  }

  get storage(): ObjectStorage {
    if (this.#storage === undefined) throw new TypeError(`${this.info.plural} are not stored`);
    return this.#storage();
  }

  get node(): SchemaNode {
    this.#node ??= this.definition.schema ?? builtinSchema.type(this.info.typeName as string);
    return this.#node;
  }

  key(namespace: string, name: string): string {
    return this.info.namespaced ? `${namespace}/${name}` : name;
  }

  /** The object as of everything acknowledged so far, ready to be seen in this version. */
  async find(namespace: string, name: string): Promise<CachedObject | undefined> {
    const found = await this.storage.get(this.key(namespace, name));
    if (found?.needsConversion(this.definition) === true) await this.convert([found]);
    return found;
  }

  /** Has a webhook convert those objects that need it; undefined when none does. */
  convert(objects: readonly CachedObject[]): Promise<void> | undefined {
    const { definition } = this;
    if (definition.convert === undefined) return undefined;
    const waiting = objects.filter((one) => one.needsConversion(definition));
    return waiting.length === 0 ? undefined : this.#convert(waiting, definition.convert);
  }

  async #convert(objects: readonly CachedObject[], convert: NonNullable<KindDefinition['convert']>): Promise<void> {
    const converted = await convert(
      objects.map((one) => one.object),
      this.apiVersion,
    );
    for (const [index, one] of objects.entries()) {
      const draft = cloneObject(converted[index] as AnyObject);
      this.definition.completeStored?.(draft);
      one.serve(this.definition, draft);
    }
  }

  /** A draft of this version in the version that is stored. */
  async toStored(draft: AnyObject): Promise<AnyObject> {
    const { definition } = this;
    const stored = this.storage.cache.form.definition;
    if (definition.convert === undefined || stored === definition) return definition.toStorage?.(draft) ?? draft;
    const [converted] = await definition.convert([draft], apiVersionOf(stored.resource));
    return cloneObject(converted as AnyObject);
  }
}
