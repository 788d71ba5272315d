import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

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

/** Runs a file of tests in network, mount and process namespaces of its own: no packet leaves them, nothing is left behind. */
function runIsolated(file: string): Promise<void> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const isolation = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
  const child = spawn('unshare', [...isolation, process.execPath, '--test-reporter=spec', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${file} failed:\n${Buffer.concat(output).toString('utf8')}`)),
    );
  });
}

test('pods on a real container runtime', { skip, timeout: 240_000 }, () => runIsolated('./kubelet/pods.ts'));

test('streams of pods on a real container runtime', { skip, timeout: 240_000 }, () =>
  runIsolated('./kubelet/streams.ts'),
);
