import type { AnyObject, ListMeta, ObjectMeta, PartialObjectMetadata, Table, TableColumnDefinition } from '#api';

/** What a table needs of a column of a kind's definition. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description: string;
  readonly priority?: number;
  readonly value: (object: AnyObject, context: { readonly nowMs: number }) => unknown;
}

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  readonly columns: readonly TableColumn[];
  readonly objects: readonly AnyObject[];
  readonly nowMs: number;
  /** What a row's `object` is: the metadata (default), the whole object, or nothing. */
  readonly includeObject?: IncludeObject;
  /** Version of meta.k8s.io: default v1. */
  readonly version?: 'v1' | 'v1beta1';
  /** The list's metadata, or the object's resourceVersion when one object was asked for. */
  readonly listMeta?: Partial<ListMeta>;
  /** Watches send the columns with the first event alone; default true. */
  readonly withColumns?: boolean;
}

const definitions = new WeakMap<readonly TableColumn[], TableColumnDefinition[]>();

function definitionsOf(columns: readonly TableColumn[]): TableColumnDefinition[] {
  let found = definitions.get(columns);
  if (found === undefined) {
    found = columns.map(({ name, type, format = '', description, priority = 0 }) => ({
      name,
      type,
      format,
      description,
      priority,
    }));
    definitions.set(columns, found);
  }
  return found;
}

/** Objects as the Table that kubectl prints. Cells and metadata are shared with the objects, not copied. */
export function tableOf(options: TableOptions): Table {
  const {
    columns,
    objects,
    nowMs,
    includeObject = 'Metadata',
    version = 'v1',
    listMeta = {},
    withColumns = true,
  } = options;
  const context = { nowMs };
  const rows = objects.map((object) => {
    const cells = columns.map((column) => column.value(object, context) ?? null);
    if (includeObject === 'None') return { cells };
    return { cells, object: includeObject === 'Object' ? object : partialMetadataOf(object, version) };
  });
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: listMeta as ListMeta,
    columnDefinitions: withColumns ? definitionsOf(columns) : [],
    rows: rows as Table['rows'],
  };
}

/** An object cut down to its identity and metadata. */
export function partialMetadataOf(
  object: { readonly metadata: ObjectMeta },
  version: 'v1' | 'v1beta1' = 'v1',
): PartialObjectMetadata {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}
