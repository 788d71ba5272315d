import { apiVersionOf, builtinSchema, type ResourceInfo, type SchemaNode } from '#api';
import type { KindDefinition } from '#kinds';
import type { ObjectStorage } from './object-storage.ts';

/** One served kind in one version, with all that its verbs need. Made once per definition. */
export class KindResource {
  readonly definition: KindDefinition;
  readonly info: ResourceInfo;
  readonly apiVersion: string;
  /** How errors name it. */
  readonly groupResource: { readonly group: string; readonly plural: string };
  readonly groupKind: { readonly group: string; readonly kind: string };
  readonly #storage: (() => ObjectStorage) | undefined;
  #node: SchemaNode | undefined;

  constructor(definition: KindDefinition, storage: (() => ObjectStorage) | undefined) {
    const info = definition.resource;
    this.definition = definition;
    this.info = info;
    this.apiVersion = apiVersionOf(info);
    this.groupResource = { group: info.group, plural: info.plural };
    this.groupKind = { group: info.group, kind: info.kind };
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

  /** Drafts and objects in this version are the same as the stored ones but for apiVersion. */
  get convertsFreely(): boolean {
    return this.definition.toStorage === undefined;
  }
}
