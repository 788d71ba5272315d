import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LoadConfiguration, LoadResult } from './faults/load.ts';
import { eventually, run, whyNoContainers } from './harness.ts';
import { busyboxImage } from './images.ts';
import { Machines, runPage } from './machines.ts';

const skip = whyNoContainers() ?? false;
const machines = new Machines('k8f');
/** A whole run is ten minutes: K8TS_FAULT_SECONDS=600. */
const seconds = Number(process.env.K8TS_FAULT_SECONDS ?? 40);
/** How long after a cut an answer may be missing. */
const graceMs = 2_000;
/** Requests that began so long before a cut may still have been under way. */
const underWayMs = 500;

const kubectl = (script: string): Promise<string> => machines.must('master', `kubectl ${script}`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function pidOf(name: string, file: string): number {
  return JSON.parse(readFileSync(join(machines.of(name).root, 'run/kubernetes', file), 'utf8')).pid as number;
}

const link = (name: string, state: 'up' | 'down'): Promise<unknown> =>
  run('ip', ['-n', machines.of(name).netns, 'link', 'set', 'eth0', state]);

/** What is done to the cluster, in turn. Each resolves when the cut is over. */
const cuts: readonly { readonly name: string; readonly act: () => Promise<void> }[] = [
  { name: 'the control plane is killed', act: async () => void process.kill(pidOf('master', 'server.pid'), 'SIGKILL') },
  { name: 'an agent is killed', act: async () => void process.kill(pidOf('worker1', 'agent.pid'), 'SIGKILL') },
  {
    name: 'a container runtime is killed',
    act: async () => void process.kill(pidOf('worker2', 'containerd/containerd.pid'), 'SIGKILL'),
  },
  {
    name: 'an agent is paused',
    async act() {
      const pid = pidOf('worker2', 'agent.pid');
      process.kill(pid, 'SIGSTOP');
      await pause(4_000);
      process.kill(pid, 'SIGCONT');
    },
  },
  {
    name: 'a worker is cut off',
    async act() {
      await link('worker1', 'down');
      await pause(4_000);
      await link('worker1', 'up');
      // The kernel forgets routes of a link that goes down; those of the machine itself are not the cluster's to restore.
    },
  },
  {
    name: 'the control plane is paused',
    async act() {
      const pid = pidOf('master', 'server.pid');
      process.kill(pid, 'SIGSTOP');
      await pause(3_000);
      process.kill(pid, 'SIGCONT');
    },
  },
];

/** What must be the same number afterwards. */
async function counts(name: string): Promise<Record<string, number>> {
  const { root } = machines.of(name);
  const lines = async (script: string): Promise<number> =>
    (await machines.must(name, script)).split('\n').filter((line) => line !== '').length;
  const { stdout } = await run('ps', ['-eo', 'args']);
  return {
    processes: stdout.split('\n').filter((line) => line.includes(root)).length,
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(root)).length,
    addresses: await lines('ip -o -4 address'),
    routes: await lines('ip route'),
    rules: await lines('nft list ruleset | grep -v counter'),
  };
}

async function settled(): Promise<void> {
  await eventually('the API answers', async () => (await machines.shell('master', 'kubectl get nodes')).code === 0);
  await kubectl('wait --for=condition=Ready node --all --timeout=90s');
  await kubectl('wait --for=condition=Available deployment/web --timeout=90s');
  await eventually('four pods, all ready', async () => {
    const text = await kubectl(
      `get pods -l app=web -o jsonpath='{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'`,
    );
    const states = text.trim().split('\n');
    return states.length === 4 && states.every((one) => one === 'True');
  });
}

before(async () => {
  if (skip !== false) return;
  await machines.make(['master', 'worker1', 'worker2']);
  await runPage('01-set-up', machines);
  const serve = 'mkdir -p /w; hostname > /w/index.html; trap "exit 0" TERM; httpd -f -p 8080 -h /w & wait';
  const image = await busyboxImage('k8ts.test/web:1', { cmd: ['sh', '-c', serve] });
  for (const name of ['worker1', 'worker2']) await machines.loadImages(name, [image]);
});
after(async () => {
  if (skip === false) await machines.remove();
});

describe('requests and writes go on while the cluster is being cut to pieces', { skip }, () => {
  test(`for ${seconds} seconds`, { timeout: (seconds + 300) * 1000 }, async (t) => {
    await kubectl('create deployment web --image=k8ts.test/web:1 --replicas=4');
    await kubectl('expose deployment web --port=80 --target-port=8080');
    await kubectl(`create ingress web --rule='web.test/*=web:80'`);
    await settled();
    const { home } = machines.of('master');
    const addresses = machines.all.map((one) => one.address);
    const configuration: LoadConfiguration = {
      ...{ addresses, host: 'web.test', requestsPerSecond: 200, writesPerSecond: 20 },
      kubeconfig: join(home, '.kube/config'),
    };
    const file = join(machines.folder, 'load.json');
    writeFileSync(file, JSON.stringify(configuration));
    await eventually('the Ingress answers', async () => {
      const { stdout } = await machines.shell('master', `curl -sS -m 2 -H 'Host: web.test' http://${addresses[1]}/`);
      return stdout.startsWith('web-');
    });
    const before = new Map(
      await Promise.all(machines.all.map(async ({ name }) => [name, await counts(name)] as const)),
    );
    const program = new URL('faults/load.ts', import.meta.url).pathname;
    const load = spawn(
      'nsenter',
      [
        `--net=/run/netns/${machines.of('master').netns}`,
        process.execPath,
        '--disable-warning=ExperimentalWarning',
        program,
        file,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    t.after(() => void load.kill('SIGKILL'));
    let output = '';
    load.stdout.on('data', (piece) => {
      output += piece;
    });
    const ended = new Promise<void>((resolve) => load.on('exit', () => resolve()));
    const endMs = performance.now() + seconds * 1000;
    const windows: { fromMs: number; toMs: number; name: string }[] = [];
    for (let turn = 0; performance.now() < endMs; turn++) {
      await pause(5_000);
      const { name, act } = cuts[turn % cuts.length] as (typeof cuts)[number];
      const fromMs = Date.now();
      await act();
      windows.push({ fromMs, toMs: Date.now() + graceMs, name });
    }
    await pause(graceMs);
    await settled();
    load.stdin.end();
    await ended;
    const result = JSON.parse(output) as LoadResult;
    t.diagnostic(
      `${result.asked} requests, ${result.failures.length} without an answer, slowest ${Math.round(result.slowestMs)} ms; ${result.acknowledged} writes acknowledged, ${result.refusedWrites} refused; ${windows.length} cuts`,
    );
    assert.deepEqual(result.lost, [], 'no acknowledged write is lost');
    assert.ok(result.acknowledged > seconds, 'writes were acknowledged');
    const during = ({ fromMs, toMs }: (typeof windows)[number], atMs: number): boolean =>
      atMs >= fromMs - underWayMs && atMs <= toMs;
    for (const one of windows) {
      const failed = result.failures.filter(({ atMs }) => during(one, atMs));
      const [first] = failed;
      if (first !== undefined) t.diagnostic(`${one.name}: ${failed.length} without an answer, the first: ${first.why}`);
    }
    const outside = result.failures.filter(({ atMs }) => !windows.some((one) => during(one, atMs)));
    assert.deepEqual(outside, [], `requests without an answer long after a cut: ${JSON.stringify(windows)}`);
    await kubectl('delete configmaps -l from=faults --wait=false > /dev/null');
    for (const { name } of machines.all) {
      await eventually(`${name} is as it was`, async () => {
        const now = await counts(name);
        const then = before.get(name) as Record<string, number>;
        // Rules of numbers of endpoints that are no more stay until the rules are written anew, as by an agent that starts.
        const grown = Object.keys(then).filter((one) =>
          one === 'rules' ? (now[one] as number) > (then[one] as number) : now[one] !== then[one],
        );
        if (grown.length > 0) throw new Error(`${name}: ${JSON.stringify(now)}, before ${JSON.stringify(then)}`);
        return true;
      });
    }
  });
});
