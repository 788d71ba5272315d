import type { NodeSelectorRequirement } from '#api';

const integer = /^[+-]?\d+$/;

/** Whether a node's value (undefined: it has none) meets a requirement of a node selector. Gt and Lt compare integers; other text meets neither. */
export function meetsNodeRequirement(
  { operator, values = [] }: Pick<NodeSelectorRequirement, 'operator' | 'values'>,
  value: string | undefined,
): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      const [bound = ''] = values;
      if (value === undefined || !integer.test(value) || !integer.test(bound)) return false;
      return operator === 'Gt' ? BigInt(value) > BigInt(bound) : BigInt(value) < BigInt(bound);
    }
    default:
      return false;
  }
}
