import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ClusterLayout, type ClusterState, enterArguments, nodeLayout, readProcess } from '#admin';
import { CodedError, messageOf, runCommand } from '#base';

/** Imports an image archive (OCI layout archive or docker-save), or a folder with an OCI layout, into every node that runs; containerd takes only blobs it lacks. */
export async function loadImages(layout: ClusterLayout, state: ClusterState, file: string): Promise<string[]> {
  requireArchive(file);
  if (!statSync(file).isDirectory()) return loadArchive(layout, state, file);
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-image-'));
  try {
    const archive = join(folder, 'archive.tar');
    await runCommand('tar', ['-cf', archive, '-C', file, '.'], { timeoutMs: 600_000 });
    return await loadArchive(layout, state, archive);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function loadArchive(layout: ClusterLayout, state: ClusterState, file: string): Promise<string[]> {
  const nodes = state.nodes.filter((one) => {
    const { runDir } = nodeLayout(layout, one.name);
    return readProcess(join(runDir, 'containerd', 'containerd.pid')) !== undefined;
  });
  if (nodes.length === 0) {
    const next = state.nodes.length === 0 ? 'its nodes are simulated' : `k8ts up --name ${state.name} starts it`;
    throw new CodedError('NoNode', `cluster ${state.name} has no running node with containers: ${next}`);
  }
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
        resolve(file), // inside, the working folder is another
      ];
      try {
        const { stdout } = await runCommand('nsenter', args, { timeoutMs: 600_000 });
        return stdout.split('\n').flatMap((line) => /^unpacking (\S+)/.exec(line)?.[1] ?? []);
      } catch (error) {
        throw new CodedError('ImageNotLoaded', `${file} could not be loaded into ${node.name}: ${reasonOf(error)}`, {
          cause: error,
        });
      }
    }),
  );
  return names[0] ?? [];
}

/** Throws when there is no such archive or OCI layout: known before anything is started. What is in it, containerd says. */
export function requireArchive(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined)
    throw new CodedError('ImageNotFound', `${file} does not exist: give an image archive, or - for standard input`);
  if (found.isDirectory() && !existsSync(join(file, 'oci-layout')))
    throw new CodedError('ImageNotFound', `${file} is a folder without an OCI layout: give an image archive`);
}

/** containerd's own last words, without the command line that was run. */
function reasonOf(error: unknown): string {
  const text = messageOf(error);
  const words = text.slice(text.lastIndexOf('ctr: ') + 1 && text.lastIndexOf('ctr: ') + 5);
  return /invalid tar header|unrecognized image format|unexpected EOF/.test(words)
    ? `it is no image archive (docker save, or an OCI archive): ${words}`
    : words;
}
