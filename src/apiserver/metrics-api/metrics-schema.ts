import { builtinSchema, type FieldSchema, type ScalarType, type SchemaNode } from '#api';

const scalar = (type: ScalarType): SchemaNode => ({ form: 'scalar', scalar: type });
const list = (element: SchemaNode): SchemaNode => ({ form: 'list', element });

/** Fields in the order of their protobuf numbers, from 1. */
function struct(fields: Readonly<Record<string, SchemaNode>>): SchemaNode {
  const rows = Object.entries(fields).map(([name, node], index): [string, FieldSchema] => [
    name,
    { name, node, numbers: [index + 1], required: true, pointer: false },
  ]);
  return { form: 'struct', fields: new Map(rows) };
}

const usage: SchemaNode = { form: 'map', element: scalar('Quantity') };
const head = {
  metadata: builtinSchema.type('meta/v1.ObjectMeta'),
  timestamp: scalar('Time'),
  window: scalar('Duration'),
};
const node = struct({ ...head, usage });
const pod = struct({ ...head, containers: list(struct({ name: scalar('string'), usage })) });
const listOf = (element: SchemaNode): SchemaNode =>
  struct({ metadata: builtinSchema.type('meta/v1.ListMeta'), items: list(element) });

/** Types of `metrics.k8s.io/v1beta1` by kind. Source: numbers of k8s.io/metrics' generated.proto. */
export const metricsSchema: Readonly<Record<string, SchemaNode>> = {
  NodeMetrics: node,
  NodeMetricsList: listOf(node),
  PodMetrics: pod,
  PodMetricsList: listOf(pod),
};
