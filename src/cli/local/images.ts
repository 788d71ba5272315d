import { join } from 'node:path';
import { type ClusterLayout, type ClusterState, enterArguments, nodeLayout } from '#admin';
import { CodedError, messageOf, runCommand } from '#base';

/** Imports an image archive (OCI layout archive or docker-save) into every node that runs; containerd takes only blobs it lacks. */
export async function loadImages(layout: ClusterLayout, state: ClusterState, file: string): Promise<string[]> {
  const nodes = state.nodes.filter((one) => !one.stopped);
  if (nodes.length === 0)
    throw new CodedError('NoNode', `cluster ${state.name} has no running node with containers to load an image into`);
  const names = await Promise.all(
    nodes.map(async (node) => {
      const own = nodeLayout(layout, node.name);
      const socket = join(own.runDir, 'containerd.sock');
      const args = [
        ...enterArguments(own),
        'ctr',
        '--address',
        socket,
        '--namespace',
        'k8s.io',
        'images',
        'import',
        file,
      ];
      try {
        const { stdout } = await runCommand('nsenter', args, { timeoutMs: 600_000 });
        return stdout.split('\n').flatMap((line) => /^unpacking (\S+)/.exec(line)?.[1] ?? []);
      } catch (error) {
        throw new CodedError('ImageNotLoaded', `${file} could not be loaded into ${node.name}: ${messageOf(error)}`, {
          cause: error,
        });
      }
    }),
  );
  return names[0] ?? [];
}
