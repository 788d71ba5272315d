import { spawn } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { removeControlGroups } from './containerd.ts';

/** What the machine lacks for pods on a real runtime; undefined when nothing. */
async function missing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const path of ['/usr/bin/containerd', '/usr/sbin/runc', '/bin/busybox', '/usr/lib/cni/bridge']) {
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (!found) return `needs ${path} (Debian: containerd runc busybox-static containernetworking-plugins)`;
  }
  return undefined;
}

const skip = (await missing()) ?? false;

/**
 * Runs a file of tests in network, mount and process namespaces of its own: no packet leaves them, and with them go its processes and
 * mounts. Files and control groups are removed afterwards from outside.
 */
async function runIsolated(file: string): Promise<void> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const directory = await mkdtemp(join(tmpdir(), 'k8ts-e2e-'));
  const isolation = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
  const child = spawn('unshare', [...isolation, process.execPath, '--test-reporter=spec', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Without NODE_TEST_CONTEXT the child reports in words.
    env: { ...process.env, K8TS_E2E_DIRECTORY: directory, NODE_TEST_CONTEXT: undefined },
  });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  await removeControlGroups(basename(directory));
  await rm(directory, { recursive: true, force: true });
  if (code !== 0) throw new Error(`${file} failed:\n${Buffer.concat(output).toString('utf8')}`);
}

test('pods on a real container runtime', { skip, timeout: 240_000 }, () => runIsolated('./kubelet/pods.ts'));

test('streams of pods on a real container runtime', { skip, timeout: 240_000 }, () =>
  runIsolated('./kubelet/streams.ts'),
);
