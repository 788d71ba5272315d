/**
 * The schema catalogue's vocabulary: a graph of nodes, one a type, that generic functions interpret (default, prune,
 * validate, patch, apply, encode). Built-in kinds derive it from the facts; a CustomResourceDefinition builds the same
 * graph from its OpenAPI schema. Nodes may be cyclic (JSONSchemaProps): walk them along data, never on their own.
 */
export type ScalarType =
  | 'string'
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'bytes'
  | 'Time'
  | 'MicroTime'
  | 'Duration'
  | 'Quantity'
  | 'IntOrString';

export interface SchemaNode {
  /** `any`: no structure known (RawExtension, FieldsV1, JSON, x-kubernetes-preserve-unknown-fields): kept whole. */
  readonly form: 'scalar' | 'struct' | 'map' | 'list' | 'any';
  readonly scalar?: ScalarType;
  /** Message name of the facts, `core/v1.PodSpec`; absent for custom resources. */
  readonly typeName?: string;
  /** Fields by JSON name, embedded (`inline`) messages flattened in. Present when form is struct. */
  readonly fields?: ReadonlyMap<string, FieldSchema>;
  /** Element of a list, value of a map. */
  readonly element?: SchemaNode;
  /** Closed string set of a scalar, where the facts name one. */
  readonly enum?: readonly string[];
  /** form any: which wire form it has in protobuf. The JSONSchemaPropsOr… have JSONSchemaProps as their `element`. */
  readonly opaque?:
    | 'RawExtension'
    | 'FieldsV1'
    | 'JSON'
    | 'JSONSchemaPropsOrArray'
    | 'JSONSchemaPropsOrBool'
    | 'JSONSchemaPropsOrStringArray';
  /** A list that is a protobuf message of its own, with the items in field 1 (upstream's ExtraValue, Verbs). */
  readonly itemsMessage?: boolean;
  /** Custom resources: a struct that keeps fields it does not know. */
  readonly preserveUnknown?: boolean;
  /** Custom resources: an object with its own apiVersion, kind and metadata. */
  readonly embeddedResource?: boolean;
}

export interface FieldSchema {
  readonly name: string;
  readonly node: SchemaNode;
  /**
   * Path of protobuf field numbers from the message that holds the field in JSON: [2, 4] for a field 4 of an embedded
   * message 2. Empty: not on the protobuf wire (apiVersion and kind travel in the envelope, Table has no such form).
   */
  readonly numbers: readonly number[];
  /** JSON always carries it (no omitempty upstream). */
  readonly required: boolean;
  /** A pointer upstream: absent and zero differ, also on the protobuf wire. */
  readonly pointer: boolean;
  readonly default?: unknown;
  /** Strategic merge patch. */
  readonly patchStrategy?: readonly ('merge' | 'replace' | 'retainKeys')[];
  readonly patchMergeKey?: string;
  /** Server-side apply; absent means upstream's default: lists atomic, maps and structs granular. */
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  readonly mapType?: 'atomic' | 'granular';
  readonly structType?: 'atomic' | 'granular';
}

/** Looks up messages of the built-in schema. `type('core/v1.Pod')` throws on an unknown name: a bug in the caller. */
export interface Schema {
  type(name: string): SchemaNode;
  has(name: string): boolean;
}
