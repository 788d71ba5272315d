import type { AnyObject } from '#api';
import {
  errBadRequest,
  type FieldRequirement,
  goQuote,
  type LabelSelector,
  parseFieldSelector,
  parseLabelSelector,
} from '#machinery';
import type { RequestInfo } from '../contract.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { WatcherScope } from '../watchcache/watcher-set.ts';
import type { KindResource } from './kind-resource.ts';

/** Which objects of a resource a list, watch or deletecollection is about. */
export interface Selection {
  /** '' for all. */
  readonly namespace: string;
  /** The only name that can match; '' for any. */
  readonly name: string;
  /** Value of the resource's index (a pod's node) that every match has. */
  readonly indexed: string | undefined;
  /** What remains to be asked of each object; undefined: nothing. */
  readonly matches: ((object: CachedObject) => boolean) | undefined;
  readonly scope: WatcherScope;
}

/** From the path and the selectors of the query; 400 for fields that the kind does not let be selected. */
export function selectionOf(kind: KindResource, info: RequestInfo): Selection {
  let namespace = kind.info.namespaced ? info.namespace : '';
  let name = '';
  let indexed: string | undefined;
  let labels: LabelSelector | undefined;
  const checks: ((object: AnyObject) => boolean)[] = [];
  if (info.rawQuery !== '') {
    const labelText = info.options.get('labelSelector');
    if (labelText !== null && labelText !== '') {
      const selector = parseLabelSelector(labelText);
      if (!selector.isEmpty()) labels = selector;
    }
    const fieldText = info.options.get('fieldSelector');
    for (const one of fieldText === null || fieldText === '' ? [] : parseFieldSelector(fieldText)) {
      const { field, operator, value } = one;
      const equal = operator === '=';
      if (field === 'metadata.name' && equal && name === '') name = value;
      else if (field === 'metadata.namespace' && equal && namespace === '' && kind.info.namespaced) namespace = value;
      else if (field === 'spec.nodeName' && equal && indexed === undefined && kind.storage.cache.hasIndex)
        indexed = value;
      else checks.push(fieldCheck(kind, one));
    }
  }
  // For a path that names the object (legacy watch of one object).
  if (info.name !== '' && name === '') name = info.name;
  const byLabels = labels === undefined ? undefined : labelCheck(labels);
  const rest = both(byLabels, checks.length === 0 ? undefined : objectCheck(kind, checks));
  const key =
    name === '' ? undefined : kind.info.namespaced ? (namespace === '' ? undefined : `${namespace}/${name}`) : name;
  const byName = name !== '' && key === undefined ? (cached: CachedObject): boolean => cached.name === name : undefined;
  const inNamespace =
    indexed !== undefined && namespace !== ''
      ? (cached: CachedObject): boolean => cached.namespace === namespace
      : undefined;
  const scope: WatcherScope = {
    ...(key === undefined ? {} : { key }),
    ...(indexed === undefined || key !== undefined ? {} : { indexed }),
    ...(namespace === '' ? {} : { namespace }),
  };
  const nodeCheck = indexed === undefined ? undefined : nodeIs(indexed);
  return { namespace, name, indexed, scope, matches: both(both(nodeCheck, byName), both(inNamespace, rest)) };
}

function nodeIs(node: string): (cached: CachedObject) => boolean {
  return (cached) => ((cached.object.spec as { nodeName?: string } | undefined)?.nodeName ?? '') === node;
}

function labelCheck(labels: LabelSelector): (cached: CachedObject) => boolean {
  return (cached) => labels.matches(cached.labels);
}

/** Checks of decoded objects; a copy that was decoded for this alone is not kept. */
function objectCheck(
  kind: KindResource,
  checks: readonly ((object: AnyObject) => boolean)[],
): (cached: CachedObject) => boolean {
  const { definition } = kind;
  const { cache } = kind.storage;
  return (cached) => {
    const keep = cached.isDecoded || cache.objectReaders > 0;
    // What a webhook has yet to convert is judged as it is stored.
    const object = cached.needsConversion(definition) ? cached.object : cached.objectAs(definition);
    const holds = checks.every((check) => check(object));
    if (!keep) cached.forgetDecoded();
    return holds;
  };
}

type Check = ((object: CachedObject) => boolean) | undefined;

function both(a: Check, b: Check): Check {
  if (a === undefined) return b;
  return b === undefined ? a : (object) => a(object) && b(object);
}

function fieldCheck(kind: KindResource, { field, operator, value }: FieldRequirement): (object: AnyObject) => boolean {
  const read = fieldReader(kind, field);
  return operator === '=' ? (object) => read(object) === value : (object) => read(object) !== value;
}

function fieldReader(kind: KindResource, field: string): (object: AnyObject) => string {
  if (field === 'metadata.name') return (object) => object.metadata.name;
  const { fieldSelectors, unknownFieldSelector } = kind.definition;
  if (field === 'metadata.namespace' && (kind.info.namespaced || fieldSelectors === undefined)) {
    return (object) => object.metadata.namespace ?? '';
  }
  if (fieldSelectors !== undefined && Object.hasOwn(fieldSelectors, field)) {
    return fieldSelectors[field] as (object: AnyObject) => string;
  }
  throw errBadRequest(
    fieldSelectors === undefined
      ? `${goQuote(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
      : (unknownFieldSelector?.(field) ?? `field label not supported: ${field}`),
  );
}
