import { type Node, resource } from '#api';
import { ageColumn, nameColumn, textColumn, wide } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { proxySubresource } from '../verbs.ts';
import { nodeAddress, nodeRoles } from './node-facts.ts';
import { validateNode, validateNodeUpdate } from './node-validation.ts';

function statusText(node: Node): string {
  const ready = node.status?.conditions?.find((one) => one.type === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
  if (node.spec?.unschedulable) words.push('SchedulingDisabled');
  return words.join(',');
}

export const nodeKind = defineKind<Node>({
  resource: resource('v1', 'nodes'),
  storageSegment: 'minions',
  status: true,
  subresources: [proxySubresource('NodeProxyOptions')],
  statusAtCreation: true,
  applyDefaults: (draft) => {
    const spec = (draft.spec ??= {});
    if (spec.podCIDR && spec.podCIDRs?.[0] !== spec.podCIDR) spec.podCIDRs = [spec.podCIDR];
    else if (!spec.podCIDR && spec.podCIDRs?.length) spec.podCIDR = spec.podCIDRs[0];
    if (draft.status?.capacity != null) draft.status.allocatable ??= { ...draft.status.capacity };
  },
  validate: validateNode,
  validateUpdate: validateNodeUpdate,
  validateStatusUpdate: validateNodeUpdate,
  columns: [
    nameColumn,
    textColumn('Status', 'The status of the node', statusText),
    textColumn('Roles', 'The roles of the node', (node) => nodeRoles(node).join(',') || '<none>'),
    ageColumn,
    textColumn('Version', 'Version of the kubelet.', (node) => node.status?.nodeInfo?.kubeletVersion ?? ''),
    wide(textColumn('Internal-IP', 'Internal address.', (node) => nodeAddress(node, 'InternalIP') ?? '<none>')),
    wide(textColumn('External-IP', 'External address.', (node) => nodeAddress(node, 'ExternalIP') ?? '<none>')),
    wide(textColumn('OS-Image', 'Operating system.', (node) => node.status?.nodeInfo?.osImage || '<unknown>')),
    wide(textColumn('Kernel-Version', 'Kernel.', (node) => node.status?.nodeInfo?.kernelVersion || '<unknown>')),
    wide(
      textColumn(
        'Container-Runtime',
        'Container runtime and its version.',
        (node) => node.status?.nodeInfo?.containerRuntimeVersion || '<unknown>',
      ),
    ),
  ],
  fieldSelectors: { 'spec.unschedulable': (node) => String(node.spec?.unschedulable ?? false) },
});
