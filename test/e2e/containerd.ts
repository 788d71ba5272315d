import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runCommand } from '#base';
import { buildImages, type ImageDescription, pauseImage, pauseImageName } from '#kubelet';

export interface Containerd {
  readonly socket: string;
  /** SIGKILL, as a power cut of the runtime alone. */
  kill(): Promise<void>;
  /** Starts it again after `kill`. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A containerd of the test's own, everything below `directory`. Meant for a private network and mount namespace: pods get addresses
 * of 10.88.0.0/24 on a bridge there.
 */
export async function startContainerd(
  directory: string,
  images: readonly ImageDescription[] = [],
): Promise<Containerd> {
  const socket = join(directory, 'containerd.sock');
  const cni = join(directory, 'cni');
  await mkdir(cni, { recursive: true });
  const bridge = {
    type: 'bridge',
    bridge: 'k8ts-test0',
    isGateway: true,
    ipMasq: false,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      dataDir: join(directory, 'ipam'),
      ranges: [[{ subnet: '10.88.0.0/24' }]],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  };
  const network = { cniVersion: '0.4.0', name: 'test', plugins: [bridge] };
  await writeFile(join(cni, '10-test.conflist'), JSON.stringify(network));
  const configuration = join(directory, 'containerd.toml');
  await writeFile(
    configuration,
    `version = 2
root = "${directory}/root"
state = "${directory}/state"
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImageName}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`,
  );
  const ctr = (...args: string[]): ReturnType<typeof runCommand> =>
    runCommand('ctr', ['--address', socket, '-n', 'k8s.io', ...args]);
  const output = createWriteStream(join(directory, 'containerd.log'));
  let stop: (signal: NodeJS.Signals) => Promise<void> = async () => {};
  const start = async (): Promise<void> => {
    const child = spawn('containerd', ['-c', configuration], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
    stop = async (signal) => {
      child.kill(signal);
      await ended;
    };
    for (let tries = 0; ; tries++) {
      try {
        await ctr('version');
        return;
      } catch (error) {
        if (tries > 100) throw error;
        await pause(50);
      }
    }
  };
  await start();
  const archive = join(directory, 'images.tar');
  await writeFile(archive, buildImages([pauseImage(), ...images]));
  await ctr('images', 'import', archive);
  return { socket, start, kill: () => stop('SIGKILL'), close: () => stop('SIGTERM') };
}

/** Removes a control group and those inside it from every hierarchy. */
export async function removeControlGroups(name: string): Promise<void> {
  const roots = ['/sys/fs/cgroup', ...(await readdir('/sys/fs/cgroup')).map((one) => join('/sys/fs/cgroup', one))];
  for (const root of roots) await removeGroup(join(root, name));
}

async function removeGroup(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeGroup(join(path, entry.name));
  await rmdir(path).catch(() => {});
}
