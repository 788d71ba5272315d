import { CodedError } from '#base';
import type { Container, EphemeralContainer, Pod, ResourceFieldSelector } from '#api';
import { goQuote, quantityMilli } from '#machinery';
import { allContainers } from './containers.ts';

/** What only the node knows of a pod, for downward API fields. */
export interface PodFacts {
  readonly podIps: readonly string[];
  readonly nodeIps: readonly string[];
  /** Allocatable of the node: the limit of a container that names none. */
  readonly allocatable: Readonly<Record<string, string>>;
}

/** A value of the downward API cannot be had. */
export class FieldError extends CodedError {}

/** The text of a `fieldRef`: `metadata.name`, `metadata.labels['app']`, `status.podIP` … */
export function fieldValue(pod: Pod, path: string, facts: PodFacts): string {
  const { metadata, spec } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/s.exec(path);
  if (keyed !== null) {
    const map = (keyed[1] === 'labels' ? metadata.labels : metadata.annotations) ?? {};
    const key = keyed[2] as string;
    return Object.hasOwn(map, key) ? (map[key] as string) : '';
  }
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace;
    case 'metadata.uid':
      return metadata.uid;
    case 'metadata.labels':
      return mapText(metadata.labels);
    case 'metadata.annotations':
      return mapText(metadata.annotations);
    case 'spec.nodeName':
      return spec?.nodeName ?? '';
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? '';
    case 'status.hostIP':
      return facts.nodeIps[0] ?? '';
    case 'status.hostIPs':
      return facts.nodeIps.join(',');
    case 'status.podIP':
      return facts.podIps[0] ?? '';
    case 'status.podIPs':
      return facts.podIps.join(',');
    default:
      throw new FieldError('FieldUnsupported', `unsupported fieldPath: ${path}`);
  }
}

/** `key="value"` lines, sorted by key. */
function mapText(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${goQuote(value)}`)
    .join('\n');
}

/** The number of a `resourceFieldRef`, rounded up to whole divisors. */
export function resourceValue(
  pod: Pod,
  own: Container | EphemeralContainer | undefined,
  selector: ResourceFieldSelector,
  facts: PodFacts,
): string {
  const container = selector.containerName
    ? allContainers(pod).find(({ spec }) => spec.name === selector.containerName)?.spec
    : own;
  if (container === undefined)
    throw new FieldError('FieldUnsupported', `container ${selector.containerName} not found`);
  const match = /^(limits|requests)\.(.+)$/.exec(selector.resource);
  if (match === null) throw new FieldError('FieldUnsupported', `unsupported container resource : ${selector.resource}`);
  const [, list, name] = match as unknown as [string, 'limits' | 'requests', string];
  const limit = container.resources?.limits?.[name] ?? (list === 'limits' ? facts.allocatable[name] : undefined);
  const asked = list === 'limits' ? limit : container.resources?.requests?.[name];
  const divisor = quantityMilli(selector.divisor === undefined || selector.divisor === '0' ? '1' : selector.divisor);
  return String(Math.ceil(quantityMilli(asked ?? '0') / divisor));
}
