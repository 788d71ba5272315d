import type { AnyObject, SchemaNode } from '#api';
import { invariant } from '#base';
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
  /** Canonical JSON with the resourceVersion, in the version in which it was stored. */
  readonly json: Uint8Array;
  /** Of that version. */
  readonly head: Buffer;
  readonly form: StorageForm;
  #object: AnyObject | undefined;
  #labels: Readonly<Record<string, string>> | null | undefined;
  #served: Map<KindDefinition, { json: Uint8Array; object: AnyObject | undefined }> | undefined;
  #protobuf: Uint8Array | undefined;

  constructor(options: {
    key: string;
    revision: number;
    json: Uint8Array;
    head: Buffer;
    form: StorageForm;
    object?: AnyObject | undefined;
  }) {
    this.key = options.key;
    this.revision = options.revision;
    this.json = options.json;
    this.head = options.head;
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
    let { head } = form;
    let bytes = stored;
    if (!startsWith(stored, head)) {
      // Written under another version of the kind: the exception, so it may cost a decoding.
      if (form.definition.convert === undefined) bytes = encodeStored(decodeJson(stored) as AnyObject, head);
      else head = headIn(stored);
    }
    const { completeStored } = form.definition;
    if (object === undefined && completeStored !== undefined && head === form.head) {
      bytes = completed(bytes, head, completeStored);
    }
    return new CachedObject({ key, revision, json: spliceRevision(bytes, head.length, revision), head, form, object });
  }

  get namespace(): string {
    const slash = this.key.indexOf('/');
    return slash < 0 ? '' : this.key.slice(0, slash);
  }

  get name(): string {
    return this.key.slice(this.key.indexOf('/') + 1);
  }

  /** Frozen, in the version in which it was stored. */
  get object(): AnyObject {
    this.#object ??= deepFreeze(decodeJson(this.json) as AnyObject);
    return this.#object;
  }

  get isDecoded(): boolean {
    return this.#object !== undefined;
  }

  /** Forgets decoded copies; the bytes stay. */
  forgetDecoded(): void {
    this.#object = undefined;
    for (const served of this.#served?.values() ?? []) served.object = undefined;
  }

  /** Kept apart from the decoded copy: selectors ask for them again and again. */
  get labels(): Readonly<Record<string, string>> | undefined {
    if (this.#labels === undefined) {
      const { metadata } = this.#object ?? (decodeJson(this.json) as AnyObject);
      this.#labels = metadata.labels ?? null;
    }
    return this.#labels ?? undefined;
  }

  /** Frozen, in the version of `definition`. Versions that a webhook converts must have been `serve`d before. */
  objectAs(definition: KindDefinition): AnyObject {
    if (this.#isStoredAs(definition)) return this.object;
    const served = this.#servedAs(definition);
    served.object ??= deepFreeze(decodeJson(served.json) as AnyObject);
    return served.object;
  }

  jsonAs(definition: KindDefinition): Uint8Array {
    return this.#isStoredAs(definition) ? this.json : this.#servedAs(definition).json;
  }

  /** The bare message, without the envelope. */
  protobufAs(definition: KindDefinition, node: SchemaNode): Uint8Array {
    if (!this.#isStoredAs(definition)) return encodeProtobuf(this.objectAs(definition), node);
    this.#protobuf ??= encodeProtobuf(this.object, node);
    return this.#protobuf;
  }

  /** True when `objectAs` and `jsonAs` have to be told first what a webhook makes of the object. */
  needsConversion(definition: KindDefinition): boolean {
    return definition.convert !== undefined && !this.#isStoredAs(definition) && this.#served?.has(definition) !== true;
  }

  /** What a webhook made of the object for `definition`. */
  serve(definition: KindDefinition, object: AnyObject): void {
    const head = definitionHead(definition);
    this.#served ??= new Map();
    this.#served.set(definition, {
      json: spliceRevision(encodeStored(object, head), head.length, this.revision),
      object: undefined,
    });
  }

  /** The same state under another revision: what a DELETED event carries. */
  atRevision(revision: number): CachedObject {
    const { head } = this;
    const json = respliced(this.json, { headLength: head.length, revision: this.revision }, { head, revision });
    const known = this.#object;
    const object =
      known &&
      Object.freeze({ ...known, metadata: Object.freeze({ ...known.metadata, resourceVersion: String(revision) }) });
    const made = new CachedObject({ key: this.key, revision, json, head, form: this.form, object });
    for (const [definition] of this.#served ?? []) {
      if (definition.convert !== undefined) made.serve(definition, cloneObject(this.objectAs(definition)));
    }
    return made;
  }

  #isStoredAs(definition: KindDefinition): boolean {
    if (this.head === this.form.head && definition === this.form.definition) return true;
    return definition.fromStorage === undefined && definitionHead(definition).equals(this.head);
  }

  #servedAs(definition: KindDefinition): { json: Uint8Array; object: AnyObject | undefined } {
    this.#served ??= new Map();
    let served = this.#served.get(definition);
    if (served === undefined) {
      invariant(definition.convert === undefined, 'the object was not converted before it was served');
      const head = definitionHead(definition);
      if (definition.fromStorage === undefined) {
        const { revision } = this;
        served = {
          json: respliced(this.json, { headLength: this.head.length, revision }, { head, revision }),
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

function startsWith(stored: Uint8Array, head: Buffer): boolean {
  return stored.length >= head.length && head.compare(stored, 0, head.length) === 0;
}

const headEnd = Buffer.from('"metadata":{');

/** The head of bytes in stored form, whatever version they are of. */
function headIn(stored: Uint8Array): Buffer {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  const end = bytes.indexOf(headEnd);
  invariant(end >= 0, 'a stored value is not in stored form');
  return Buffer.from(bytes.subarray(0, end + headEnd.length));
}

/** Defaults that the schema got after the object was stored. */
function completed(stored: Uint8Array, head: Buffer, complete: (draft: AnyObject) => void): Uint8Array {
  const draft = decodeJson(stored) as AnyObject;
  complete(draft);
  const bytes = encodeStored(draft, head);
  return Buffer.compare(bytes, stored) === 0 ? stored : bytes;
}
