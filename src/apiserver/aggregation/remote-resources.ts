/** One item of an APIResourceList. */
export interface ResourceRow {
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly group?: string;
  readonly version?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

const mostResources = 5000;

/** The items of another server's APIResourceList, as far as they are what they should be: discovery shows them to everybody. */
export function parseResources(document: unknown): readonly ResourceRow[] {
  const { resources } = (typeof document === 'object' && document !== null ? document : {}) as { resources?: unknown };
  if (!Array.isArray(resources)) return [];
  return resources.slice(0, mostResources).flatMap((one: unknown) => {
    if (typeof one !== 'object' || one === null) return [];
    const { name, singularName, namespaced, kind, verbs, group, version, shortNames, categories } = one as Record<
      string,
      unknown
    >;
    if (typeof name !== 'string' || name === '' || typeof kind !== 'string') return [];
    const short = texts(shortNames);
    const categorised = texts(categories);
    return {
      name,
      singularName: typeof singularName === 'string' ? singularName : '',
      namespaced: namespaced === true,
      ...(typeof group === 'string' && group !== '' ? { group } : {}),
      ...(typeof version === 'string' && version !== '' ? { version } : {}),
      kind,
      verbs: texts(verbs),
      ...(short.length === 0 ? {} : { shortNames: short }),
      ...(categorised.length === 0 ? {} : { categories: categorised }),
    };
  });
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}
