import type { NodeSelectorRequirement, NodeSelectorTerm, PodSpec } from '#api';
import type { NodeInfo } from './node-info.ts';

type Test = (node: NodeInfo) => boolean;

const integer = /^[+-]?[0-9]+$/;

function compileRequirement(
  { key, operator, values = [] }: NodeSelectorRequirement,
  read: (node: NodeInfo, key: string) => string | undefined,
): Test {
  const set = new Set(values);
  switch (operator) {
    case 'In':
      return (node) => {
        const value = read(node, key);
        return value !== undefined && set.has(value);
      };
    case 'NotIn':
      return (node) => {
        const value = read(node, key);
        return value === undefined || !set.has(value);
      };
    case 'Exists':
      return (node) => read(node, key) !== undefined;
    case 'DoesNotExist':
      return (node) => read(node, key) === undefined;
    case 'Gt':
    case 'Lt': {
      const bound = values[0] ?? '';
      if (values.length !== 1 || !integer.test(bound)) return () => false;
      return (node) => {
        const value = read(node, key);
        if (value === undefined || !integer.test(value)) return false;
        return operator === 'Gt' ? BigInt(value) > BigInt(bound) : BigInt(value) < BigInt(bound);
      };
    }
    default:
      return () => false;
  }
}

const label = (node: NodeInfo, key: string): string | undefined => node.label(key);
const fieldOf = (node: NodeInfo, key: string): string | undefined => (key === 'metadata.name' ? node.name : undefined);

/** A term without requirements matches nothing, as upstream. */
export function compileNodeTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm): Test {
  const tests = [
    ...matchExpressions.map((one) => compileRequirement(one, label)),
    ...matchFields.map((one) => compileRequirement(one, fieldOf)),
  ];
  if (tests.length === 0) return () => false;
  return (node) => tests.every((test) => test(node));
}

/** Any of the terms. */
export function compileNodeTerms(terms: readonly NodeSelectorTerm[]): Test {
  const tests = terms.map(compileNodeTerm);
  return (node) => tests.some((test) => test(node));
}

/** nodeSelector and required node affinity; undefined when the pod asks for nothing. */
export function compileNodeSelection(spec: PodSpec): Test | undefined {
  const labels = Object.entries(spec.nodeSelector ?? {});
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const terms = required === undefined ? undefined : compileNodeTerms(required.nodeSelectorTerms ?? []);
  if (labels.length === 0) return terms;
  return (node) => labels.every(([key, value]) => node.label(key) === value) && (terms === undefined || terms(node));
}

/** Names to which required affinity pins the pod (pods of a DaemonSet); undefined when some term leaves the name open. */
export function pinnedNodeNames(spec: PodSpec): readonly string[] | undefined {
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (terms === undefined || terms.length === 0) return undefined;
  const names = new Set<string>();
  for (const { matchFields = [] } of terms) {
    const pin = matchFields.find((one) => one.key === 'metadata.name' && one.operator === 'In');
    if (pin === undefined) return undefined;
    for (const name of pin.values ?? []) names.add(name);
  }
  return [...names];
}
