import type { AnyObject, KubeObject, ResourceInfo, SchemaNode } from '#api';
import type { FieldError } from '#machinery';
import { withStatusRules } from './status-rules.ts';

/**
 * All that is true of one kind without asking anyone. Plain data and pure functions: the API server makes routes, storage,
 * watch cache, discovery, OpenAPI and tables from it. A custom resource is turned into one of these at run time.
 *
 * Functions that take a `draft` may change it in place; they are the only ones that may.
 */
export interface KindDefinition {
  readonly resource: ResourceInfo;
  /** The structure of its objects when it is not the built-in schema's `resource.typeName`: custom resources. */
  readonly schema?: SchemaNode;
  /** Verbs served; default all eight of upstream. Reviews (TokenReview …) have only `create` and are never stored. */
  readonly verbs?: readonly string[];
  readonly stored?: boolean;
  /** Key segment below `/registry/`: default `<plural>` for core, `<group>/<plural>` else. Kinds that share one store it once. */
  readonly storageSegment?: string;
  /** apiVersion in which it is stored, when several versions share storage (events, horizontalpodautoscalers). */
  readonly storageVersion?: string;
  /** Converts a stored object to this version and back; absent: identical but for apiVersion. */
  readonly fromStorage?: (draft: AnyObject) => AnyObject;
  readonly toStorage?: (draft: AnyObject) => AnyObject;
  /** Custom resources whose versions a webhook converts: objects of other versions into `apiVersion`, in order. */
  readonly convert?: (objects: readonly AnyObject[], apiVersion: string) => Promise<readonly AnyObject[]>;
  /** Custom resources: fills in defaults of an object that was stored under an older schema. */
  readonly completeStored?: (draft: AnyObject) => void;
  /** `/status`: then the main resource ignores changes of status and the subresource takes only those. */
  readonly status?: boolean;
  /** The status of a new object, whatever was sent: `{}` or zeros that clients rely on. Absent: none. */
  readonly initialStatus?: object;
  /** Fields of metadata that a write of the status leaves as they are; custom resources leave all. */
  readonly statusKeeps?: readonly MetadataField[];
  /** A status sent at creation is kept (nodes register with one); else it is dropped. */
  readonly statusAtCreation?: boolean;
  readonly scale?: ScaleDefinition;
  /** Other sub-resources by name, with their verbs: `log`, `exec`, `binding`, `eviction`, `token`, `approval`, `finalize` … */
  readonly subresources?: readonly SubresourceDefinition[];
  /** What `kubectl get` prints, in upstream's order, without Namespace (the client adds it). First is Name. */
  readonly columns: readonly Column[];
  /** Field labels allowed in field selectors beside metadata.name and metadata.namespace, each with its value. */
  readonly fieldSelectors?: Readonly<Record<string, (object: AnyObject) => string>>;
  /** The message for a label that is not among them, where it is not the common one. */
  readonly unknownFieldSelector?: (label: string) => string;
  /** metadata.generation is 1 at creation and counts up when anything but metadata and status changes. */
  readonly generation?: boolean;
  /** Besides, changes of annotations count: never (default), too, or no change counts, and generation stays 1. */
  readonly generationCounts?: 'annotations' | 'nothing';
  /** Fills in defaults, also those that depend on other fields. The schema's static ones were applied before. */
  readonly applyDefaults?: (draft: AnyObject) => void;
  /**
   * Clears or sets what the server owns, before validation (status emptied at creation, and so on). metadata.name, uid and
   * creationTimestamp are set already. `defineKind` adds the common rules of kinds with `/status`.
   */
  readonly prepareForCreate?: (draft: AnyObject) => void;
  readonly prepareForUpdate?: (draft: AnyObject, old: AnyObject) => void;
  readonly prepareForStatusUpdate?: (draft: AnyObject, old: AnyObject) => void;
  /** Beyond the schema and ObjectMeta, which the machinery checks. Every error at once. `old`: what an update replaces. */
  readonly validate?: (object: AnyObject, old?: AnyObject) => FieldError[];
  readonly validateUpdate?: (object: AnyObject, old: AnyObject) => FieldError[];
  /** What `validateUpdate` finds is told before what `validate` finds; default after. */
  readonly updateRulesFirst?: boolean;
  readonly validateStatusUpdate?: (object: AnyObject, old: AnyObject) => FieldError[];
  /** The rule for metadata.name and generateName; default DNS subdomain. Returns upstream's messages. */
  readonly validateName?: (name: string, prefix: boolean) => string[];
  /** Finalizers may have any qualified name, also one without a domain. Custom resources always may. */
  readonly anyFinalizers?: boolean;
  /** Deletion's grace period in seconds when the object asks for one (pods); absent: deleted at once. */
  readonly gracePeriodSeconds?: (object: AnyObject, asked: number | undefined) => number;
  /** Finding an object of this kind may be created by PUT or apply; default false for PUT (true: leases, endpoints, events …). */
  readonly allowCreateOnUpdate?: boolean;
  /** PUT without a resourceVersion is allowed (upstream's AllowUnconditionalUpdate). Default true. */
  readonly allowUnconditionalUpdate?: boolean;
  /** Default propagation of DELETE when the request names none; `background` unless set. */
  readonly defaultPropagation?: 'orphan' | 'background';
  /** This version of the API is deprecated: what clients are told with each answer, and the release that no longer has it (`1.40`). */
  readonly deprecated?: { readonly warning: string; readonly removedRelease?: string };
  /** Warnings for clients (deprecated fields …), as upstream words them. */
  readonly warnings?: (object: AnyObject, old: AnyObject | undefined) => string[];
}

/** What of metadata a writer of the main resource may change. */
export type MetadataField = 'labels' | 'annotations' | 'finalizers' | 'ownerReferences';

export const allMetadata: readonly MetadataField[] = ['labels', 'annotations', 'finalizers', 'ownerReferences'];

export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: 'name' | '';
  readonly description: string;
  /** 0 always shown, 1 only with -o wide. */
  readonly priority?: 0 | 1;
  readonly value: (object: AnyObject, context: { readonly nowMs: number }) => string | number | boolean | null;
}

export interface ScaleDefinition {
  readonly replicas: (object: AnyObject) => number;
  readonly setReplicas: (draft: AnyObject, replicas: number) => void;
  readonly statusReplicas: (object: AnyObject) => number;
  /** The selector as text, for Scale.status.selector. */
  readonly selector: (object: AnyObject) => string;
}

export interface SubresourceDefinition {
  readonly name: string;
  readonly verbs: readonly string[];
  /** Kind in discovery when it is not the parent's: `{ group: 'policy', version: 'v1', kind: 'Eviction' }`. */
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
}

/** The same description with functions that see the kind's own type; `defineKind` widens it for the catalogue. */
export type TypedKindDefinition<T extends KubeObject> = {
  readonly [Key in keyof KindDefinition]: Retyped<KindDefinition[Key], T>;
};

type Retyped<Value, T> = Value extends AnyObject
  ? T
  : Value extends (...parameters: infer Parameters) => infer Result
    ? (...parameters: { [Index in keyof Parameters]: Retyped<Parameters[Index], T> }) => Retyped<Result, T>
    : Value extends readonly Column[]
      ? readonly TypedColumn<T>[]
      : Value extends Readonly<Record<string, (object: AnyObject) => string>>
        ? Readonly<Record<string, (object: T) => string>>
        : Value extends ScaleDefinition
          ? TypedScale<T>
          : Value;

export type TypedColumn<T> = Omit<Column, 'value'> & {
  readonly value: (object: T, context: { readonly nowMs: number }) => ReturnType<Column['value']>;
};

export type TypedScale<T> = {
  readonly [Key in keyof ScaleDefinition]: Retyped<ScaleDefinition[Key], T>;
};

/** Whether finalizers of this kind's objects must be Kubernetes' own or have a domain. */
export const hasKnownFinalizers = (definition: KindDefinition): boolean =>
  definition.schema === undefined && definition.anyFinalizers !== true;

/** Freezes a definition; the catalogue's line for a kind. `T` is trusted: the schema was checked before any function runs. */
export function defineKind<T extends KubeObject = AnyObject>(definition: TypedKindDefinition<T>): KindDefinition {
  return Object.freeze(withStatusRules(definition as unknown as KindDefinition));
}
