import type { AnyObject, SchemaNode } from '#api';
import { decodeJson, encodeProtobuf } from '#codec';
import type { KindDefinition } from '#kinds';
import { cloneObject, deepFreeze } from '#machinery';
import { encodeStored, headOf, respliced, spliceRevision } from './stored-form.ts';

/** How the objects of one storage are stored, and how each served version looks at them. */
export interface StorageForm {
  /** The definition in whose version objects are stored. */
  definition: KindDefinition;
  head: Buffer;
}

const heads = new WeakMap<KindDefinition, Buffer>();

export function definitionHead(definition: KindDefinition): Buffer {
  let head = heads.get(definition);
  if (head === undefined) {
    head = headOf(definition.resource);
    heads.set(definition, head);
  }
  return head;
}

/** One object at one revision: its bytes as clients get them, decoded when someone first asks. */
export class CachedObject {
  /** `namespace/name`, or `name` for cluster-scoped objects. */
  readonly key: string;
  readonly revision: number;
  /** Canonical JSON with the resourceVersion. */
  readonly json: Uint8Array;
  readonly form: StorageForm;
  #object: AnyObject | undefined;
  #served: Map<KindDefinition, { json: Uint8Array; object: AnyObject | undefined }> | undefined;
  #protobuf: Uint8Array | undefined;

  constructor(options: {
    key: string;
    revision: number;
    json: Uint8Array;
    form: StorageForm;
    object?: AnyObject | undefined;
  }) {
    this.key = options.key;
    this.revision = options.revision;
    this.json = options.json;
    this.form = options.form;
    this.#object = options.object;
  }

  static fromStored(
    form: StorageForm,
    key: string,
    revision: number,
    stored: Uint8Array,
    object?: AnyObject,
  ): CachedObject {
    const { head } = form;
    const bytes = startsWith(stored, head) ? stored : encodeStored(decodeJson(stored) as AnyObject, head);
    return new CachedObject({ key, revision, json: spliceRevision(bytes, head.length, revision), form, object });
  }

  get namespace(): string {
    const slash = this.key.indexOf('/');
    return slash < 0 ? '' : this.key.slice(0, slash);
  }

  get name(): string {
    return this.key.slice(this.key.indexOf('/') + 1);
  }

  /** Frozen, in the storage version. */
  get object(): AnyObject {
    this.#object ??= deepFreeze(decodeJson(this.json) as AnyObject);
    return this.#object;
  }

  /** The decoded object if someone keeps it already. */
  get decoded(): AnyObject | undefined {
    return this.#object;
  }

  /** Forgets the decoded copy; the bytes stay. */
  forgetDecoded(): void {
    this.#object = undefined;
  }

  /** Frozen, in the version of `definition`. */
  objectAs(definition: KindDefinition): AnyObject {
    if (definition === this.form.definition) return this.object;
    const served = this.#servedAs(definition);
    served.object ??= deepFreeze(decodeJson(served.json) as AnyObject);
    return served.object;
  }

  jsonAs(definition: KindDefinition): Uint8Array {
    return definition === this.form.definition ? this.json : this.#servedAs(definition).json;
  }

  /** The bare message, without the envelope. */
  protobufAs(definition: KindDefinition, node: SchemaNode): Uint8Array {
    if (definition !== this.form.definition) return encodeProtobuf(this.objectAs(definition), node);
    this.#protobuf ??= encodeProtobuf(this.object, node);
    return this.#protobuf;
  }

  /** The same state under another revision: what a DELETED event carries. */
  atRevision(revision: number): CachedObject {
    const { head } = this.form;
    const json = respliced(this.json, { headLength: head.length, revision: this.revision }, { head, revision });
    const known = this.#object;
    const object =
      known &&
      Object.freeze({ ...known, metadata: Object.freeze({ ...known.metadata, resourceVersion: String(revision) }) });
    return new CachedObject({ key: this.key, revision, json, form: this.form, object });
  }

  #servedAs(definition: KindDefinition): { json: Uint8Array; object: AnyObject | undefined } {
    this.#served ??= new Map();
    let served = this.#served.get(definition);
    if (served === undefined) {
      const head = definitionHead(definition);
      if (definition.fromStorage === undefined) {
        const { revision, form } = this;
        served = {
          json: respliced(this.json, { headLength: form.head.length, revision }, { head, revision }),
          object: undefined,
        };
      } else {
        const object = definition.fromStorage(cloneObject(this.object));
        served = { json: spliceRevision(encodeStored(object, head), head.length, this.revision), object: undefined };
      }
      this.#served.set(definition, served);
    }
    return served;
  }
}

/** Bytes written under another version of the kind begin otherwise; they are the exception, so they may cost a decoding. */
function startsWith(stored: Uint8Array, head: Buffer): boolean {
  return stored.length >= head.length && head.compare(stored, 0, head.length) === 0;
}
