import type { FieldSchema, SchemaNode } from '#api';

/**
 * How server-side apply sees a value: whole (`leaf`), by field (`struct`, `map`), by value (`set`) or by key (`keyed`).
 * Compiled from a schema node once, then kept.
 */
export interface Shape {
  readonly kind: 'leaf' | 'struct' | 'map' | 'set' | 'keyed' | 'deduced';
  readonly node: SchemaNode;
  /** Elements of a map or list. */
  readonly element: Shape;
  /** Keyed: sorted names of the key fields, with their defaults. */
  readonly keys: readonly KeyField[];
  /** Fields of a struct; undefined for one that the schema does not know. */
  field(name: string): FieldShape | undefined;
}

export interface KeyField {
  readonly name: string;
  readonly fallback: unknown;
}

export interface FieldShape {
  readonly name: string;
  /** `f:name`. */
  readonly label: string;
  readonly shape: Shape;
  /** Encoded also when nobody set it, so its being there says nothing: no member of its own. */
  readonly always: boolean;
}

/** Types whose values are owned as a whole wherever they stand (upstream's `structType=atomic` on the type). */
const atomicTypes = new Set([
  'core/v1.ConfigMapKeySelector',
  'core/v1.FileKeySelector',
  'core/v1.LocalObjectReference',
  'core/v1.NodeSelector',
  'core/v1.NodeSelectorTerm',
  'core/v1.ObjectFieldSelector',
  'core/v1.ObjectReference',
  'core/v1.ResourceFieldSelector',
  'core/v1.ScopeSelector',
  'core/v1.ScopedResourceSelectorRequirement',
  'core/v1.SecretKeySelector',
  'core/v1.SecretReference',
  'core/v1.TopologySelectorTerm',
  'core/v1.TypedLocalObjectReference',
  'core/v1.EndpointPort',
  'discovery/v1.EndpointPort',
  'autoscaling/v1.CrossVersionObjectReference',
  'autoscaling/v2.CrossVersionObjectReference',
  'meta/v1.LabelSelector',
  'meta/v1.OwnerReference',
  'rbac/v1.RoleRef',
  'rbac/v1.Subject',
]);

type Traits = Pick<FieldSchema, 'listType' | 'listMapKeys' | 'mapType' | 'structType'>;

const noKeys: readonly KeyField[] = [];

class CompiledShape implements Shape {
  readonly kind: Shape['kind'];
  readonly node: SchemaNode;
  readonly keys: readonly KeyField[];
  #element: Shape | undefined;
  #fields: Map<string, FieldShape> | undefined;

  constructor(node: SchemaNode, traits: Traits) {
    this.node = node;
    this.kind = kindOf(node, traits);
    this.keys =
      this.kind === 'keyed'
        ? [...(traits.listMapKeys ?? [])]
            .sort()
            .map((name) => ({ name, fallback: node.element?.fields?.get(name)?.default }))
        : noKeys;
  }

  get element(): Shape {
    this.#element ??= this.node.element === undefined || this.kind === 'deduced' ? deduced : shapeOf(this.node.element);
    return this.#element;
  }

  field(name: string): FieldShape | undefined {
    this.#fields ??= new Map();
    let found = this.#fields.get(name);
    if (found === undefined) {
      const field = this.node.fields?.get(name);
      if (field === undefined) return undefined;
      found = { name, label: `f:${name}`, shape: shapeOf(field.node, field), always: alwaysEncoded(field, this.node) };
      this.#fields.set(name, found);
    }
    return found;
  }
}

function alwaysEncoded({ node, pointer, required }: FieldSchema, parent: SchemaNode): boolean {
  if (parent.typeName === undefined || pointer) return false;
  return node.form === 'struct' || (required && (node.form === 'list' || node.form === 'map'));
}

function kindOf(node: SchemaNode, traits: Traits): Shape['kind'] {
  switch (node.form) {
    case 'struct':
      if (traits.structType !== undefined) return traits.structType === 'atomic' ? 'leaf' : 'struct';
      if (traits.mapType !== undefined) return traits.mapType === 'atomic' ? 'leaf' : 'struct';
      return node.typeName !== undefined && atomicTypes.has(node.typeName) ? 'leaf' : 'struct';
    case 'map':
      return traits.mapType === 'atomic' || traits.structType === 'atomic' ? 'leaf' : 'map';
    case 'list':
      if (traits.listType === 'set') return 'set';
      return traits.listType === 'map' && (traits.listMapKeys?.length ?? 0) > 0 ? 'keyed' : 'leaf';
    case 'any':
      return node.opaque === undefined ? 'deduced' : 'leaf';
    default:
      return 'leaf';
  }
}

const plainShapes = new WeakMap<SchemaNode, Shape>();

/** The shape of a node, as a value of `field` when it stands in one. Fields are remembered by the struct that asks. */
export function shapeOf(node: SchemaNode, field?: FieldSchema): Shape {
  if (
    field !== undefined &&
    (field.listType !== undefined || field.mapType !== undefined || field.structType !== undefined)
  ) {
    return new CompiledShape(node, field);
  }
  let shape = plainShapes.get(node);
  if (shape === undefined) {
    shape = new CompiledShape(node, {});
    plainShapes.set(node, shape);
  }
  return shape;
}

/** No schema: objects by field, all else whole. */
export const deduced: Shape = new CompiledShape({ form: 'any' }, {});

/** The shape of what stands under a key of a value of this shape. */
export const childShape = (shape: Shape, key: string): Shape =>
  shape.kind === 'struct' ? (shape.field(key)?.shape ?? deduced) : shape.kind === 'map' ? shape.element : deduced;
