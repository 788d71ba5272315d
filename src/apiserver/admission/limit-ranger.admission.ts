import type { AnyObject, Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod } from '#api';
import { podLimits, podRequests } from '#kinds';
import { canonicalQuantity, compareQuantities, quantityMilli } from '#machinery';
import type { AdmissionAttributes, AdmissionPlugin } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';
import { refuse } from './refuse.ts';

type Amounts = Readonly<Record<string, string>>;

const annotation = 'kubernetes.io/limit-ranger';

/** LimitRanges of the namespace: containers get its defaults, and pods, containers and claims stay within its bounds. */
export function limitRanger({ objects }: AdmissionOptions): AdmissionPlugin {
  const view = objects.view('v1', 'limitranges');
  const ranges = (namespace: string): readonly LimitRange[] => view.list(namespace) as unknown as readonly LimitRange[];
  const withRanges = (
    attributes: AdmissionAttributes,
    run: (items: readonly LimitRangeItem[]) => void,
  ): void | Promise<void> => {
    const now = (): void => {
      const items = ranges(attributes.namespace).flatMap((one) => one.spec?.limits ?? []);
      if (items.length > 0) run(items);
    };
    return view.isReady ? now() : view.ready.then(now);
  };
  return {
    name: 'LimitRanger',
    handles: (operation, definition, subresource) =>
      definition?.resource.group === '' &&
      ((definition.resource.plural === 'pods' &&
        ((operation === 'CREATE' && subresource === '') || (operation === 'UPDATE' && subresource === 'resize'))) ||
        (definition.resource.plural === 'persistentvolumeclaims' &&
          subresource === '' &&
          (operation === 'CREATE' || operation === 'UPDATE'))),
    mutate(attributes) {
      if (attributes.resource !== 'pods') return undefined;
      return withRanges(attributes, (items) => fillDefaults(attributes.object as unknown as Pod, items));
    },
    validate(attributes) {
      return withRanges(attributes, (items) => {
        const errors =
          attributes.resource === 'pods'
            ? podErrors(attributes.object as unknown as Pod, items)
            : claimErrors(attributes.object as AnyObject, items);
        if (errors.length > 0)
          throw refuse(attributes, errors.length === 1 ? (errors[0] as string) : `[${errors.join(', ')}]`);
      });
    },
  };
}

/** Default limits and requests for containers, and the note of which were filled in. */
export function fillDefaults(pod: Pod, items: readonly LimitRangeItem[]): void {
  const limits: Record<string, string> = {};
  const requests: Record<string, string> = {};
  for (const item of items) {
    if (item.type !== 'Container') continue;
    Object.assign(limits, item.default);
    Object.assign(requests, item.defaultRequest);
  }
  const notes: string[] = [];
  const fill = (container: Container, label: string): void => {
    const { setLimits, setRequests } = mergeDefaults(container, limits, requests);
    if (setRequests.length > 0) notes.push(`${setRequests.sort().join(', ')} request for ${label} ${container.name}`);
    if (setLimits.length > 0) notes.push(`${setLimits.sort().join(', ')} limit for ${label} ${container.name}`);
  };
  for (const container of pod.spec?.containers ?? []) fill(container, 'container');
  for (const container of pod.spec?.initContainers ?? []) fill(container, 'init container');
  if (notes.length > 0)
    pod.metadata.annotations = {
      ...pod.metadata.annotations,
      [annotation]: `LimitRanger plugin set: ${notes.join('; ')}`,
    };
}

function mergeDefaults(
  container: Container,
  limits: Amounts,
  requests: Amounts,
): { setLimits: string[]; setRequests: string[] } {
  const own = { limits: container.resources?.limits ?? {}, requests: container.resources?.requests ?? {} };
  const missing = (wanted: Amounts, held: Amounts): string[] =>
    Object.keys(wanted).filter((name) => !Object.hasOwn(held, name));
  const setLimits = missing(limits, own.limits);
  const setRequests = missing(requests, own.requests);
  if (setLimits.length + setRequests.length > 0) {
    const picked = (from: Amounts, names: readonly string[]): Record<string, string> =>
      Object.fromEntries(names.map((name) => [name, from[name] as string]));
    container.resources = {
      ...container.resources,
      limits: { ...own.limits, ...picked(limits, setLimits) },
      requests: { ...own.requests, ...picked(requests, setRequests) },
    };
  }
  return { setLimits, setRequests };
}

function podErrors(pod: Pod, items: readonly LimitRangeItem[]): string[] {
  const errors: string[] = [];
  for (const item of items) {
    if (item.type === 'Container') {
      for (const container of [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]) {
        errors.push(...boundErrors(item, container.resources?.requests ?? {}, container.resources?.limits ?? {}));
      }
    } else if (item.type === 'Pod') {
      errors.push(...boundErrors(item, podRequests(pod), podLimits(pod)));
    }
  }
  return errors;
}

function claimErrors(object: AnyObject, items: readonly LimitRangeItem[]): string[] {
  const requests = (object as unknown as PersistentVolumeClaim).spec?.resources?.requests ?? {};
  const errors: string[] = [];
  for (const item of items.filter((one) => one.type === 'PersistentVolumeClaim')) {
    for (const [name, bound] of Object.entries(item.min ?? {}))
      errors.push(...minimumError(item.type, name, bound, requests, {}));
    for (const [name, bound] of Object.entries(item.max ?? {})) {
      const asked = requests[name];
      if (asked !== undefined && compareQuantities(asked, bound) > 0) {
        errors.push(`maximum ${name} usage per ${item.type} is ${bound}, but request is ${canonicalQuantity(asked)}`);
      }
    }
  }
  return errors;
}

/** What a container or pod breaks of one item, in the words that users know. */
export function boundErrors(item: LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  const errors: string[] = [];
  for (const [name, bound] of sorted(item.min)) errors.push(...minimumError(item.type, name, bound, requests, limits));
  for (const [name, bound] of sorted(item.max)) errors.push(...maximumError(item.type, name, bound, requests, limits));
  for (const [name, bound] of sorted(item.maxLimitRequestRatio))
    errors.push(...ratioError(item.type, name, bound, requests, limits));
  return errors;
}

const sorted = (amounts: Amounts | undefined): [string, string][] =>
  Object.entries(amounts ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));

function minimumError(type: string, name: string, bound: string, requests: Amounts, limits: Amounts): string[] {
  const what = `minimum ${name} usage per ${type} is ${bound}`;
  const request = requests[name];
  const limit = limits[name];
  if (request === undefined) return [`${what}.  No request is specified`];
  if (compareQuantities(request, bound) < 0) return [`${what}, but request is ${canonicalQuantity(request)}`];
  return limit !== undefined && compareQuantities(limit, bound) < 0
    ? [`${what}, but limit is ${canonicalQuantity(limit)}`]
    : [];
}

function maximumError(type: string, name: string, bound: string, requests: Amounts, limits: Amounts): string[] {
  const what = `maximum ${name} usage per ${type} is ${bound}`;
  const request = requests[name];
  const limit = limits[name];
  if (limit === undefined) return [`${what}.  No limit is specified`];
  if (compareQuantities(limit, bound) > 0) return [`${what}, but limit is ${canonicalQuantity(limit)}`];
  return request !== undefined && compareQuantities(request, bound) > 0
    ? [`${what}, but request is ${canonicalQuantity(request)}`]
    : [];
}

function ratioError(type: string, name: string, bound: string, requests: Amounts, limits: Amounts): string[] {
  const what = `${name} max limit to request ratio per ${type} is ${bound}`;
  const request = quantityMilli(requests[name] ?? '0');
  const limit = quantityMilli(limits[name] ?? '0');
  if (request === 0) return [`${what}, but no request is specified or request is 0`];
  if (limit === 0) return [`${what}, but no limit is specified or limit is 0`];
  return limit / request > quantityMilli(bound) / 1000
    ? [`${what}, but provided ratio is ${(limit / request).toFixed(6)}`]
    : [];
}
