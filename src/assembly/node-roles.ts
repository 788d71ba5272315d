import { type Node, resource } from '#api';
import { type Closable, type Log, messageOf } from '#base';
import type { Client, Informers } from '#client';

const controlPlaneLabel = 'node-role.kubernetes.io/control-plane';

/** Labels the nodes that carry the control plane: a kubelet may not give itself a role. */
export function startNodeRoles(options: {
  readonly client: Client;
  readonly informers: Informers;
  readonly controlPlaneNodes: readonly string[];
  readonly log: Log;
}): Closable {
  const { client, informers, controlPlaneNodes, log } = options;
  const nodes = resource('v1', 'nodes');
  const stop = informers.of<Node>(nodes).onChange(({ type, object }) => {
    const { name, labels } = object.metadata;
    if (type === 'deleted' || !controlPlaneNodes.includes(name) || labels?.[controlPlaneLabel] !== undefined) return;
    client
      .patch(nodes, name, { type: 'merge', body: { metadata: { labels: { [controlPlaneLabel]: '' } } } })
      .catch((error) => log.warn({ node: name, error: messageOf(error) }, 'the role of a node was not set'));
  });
  return { close: async () => stop() };
}
