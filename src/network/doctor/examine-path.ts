import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { messageOf, type Random, runCommand, sleep, systemClock } from '#base';
import {
  addresses,
  counterName,
  counterRules,
  counterTable,
  explainLoss,
  type Hop,
  lostAt,
  type PathFacts,
  type Place,
  type Probe,
  probes,
} from './path.ts';

/** What became of one probe: `detail` says how long it took, or at which hop it was lost and why. */
export interface PathFinding {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

interface Answer {
  readonly ready?: boolean;
  readonly failed?: string;
  readonly probe?: string;
  readonly tookMs?: number;
  readonly error?: string;
  readonly done?: boolean;
}

const places: readonly Place[] = ['nodea', 'nodeb', 'podb', 'poda', 'outside'];
const program = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './probe-program.ts' : './probe-program.js', import.meta.url),
);
/** So long may a program take to start, and to answer: much, for a machine that is busy. */
const patienceMs = 30_000;

/**
 * Builds the path between two pods on two nodes in throw-away namespaces, with the very routes, rules and DNS of a node, sends a packet
 * each way of reaching a pod, and says where those that do not arrive are lost. Needs root, `ip` and `nft`; takes about a second and
 * leaves nothing. Only the bridge between the nodes is in this network namespace, as with `up`, so its filters are tried too.
 */
export async function examinePath(options: { readonly random: Random }): Promise<PathFinding[]> {
  const id = Buffer.from(options.random.bytes(4)).toString('hex');
  const bridge = `k8td${id}`;
  const namespace = (place: Place): string => `k8td-${id}-${place}`;
  const children: Worker[] = [];
  try {
    await build(id, bridge, namespace);
    for (const place of places) children.push(new Worker(place, namespace(place)));
    const starts = await Promise.all(
      children.map((one) => one.until((answer) => answer.ready || answer.failed !== undefined)),
    );
    const failed: Partial<Record<Place, string>> = {};
    starts.forEach((answer, index) => {
      const place = places[index] as Place;
      if (answer?.ready !== true) failed[place] = answer?.failed ?? 'its program did not start';
    });
    for (const one of children) if (one.place === 'poda' || one.place === 'outside') one.ask();
    const askers = children.filter((one) => one.place === 'poda' || one.place === 'outside');
    await Promise.all(askers.map((one) => one.until((answer) => answer.done)));
    const answers = askers.flatMap((one) => one.answers);
    const seen = await readCounters(namespace);
    const findings: PathFinding[] = [];
    for (const probe of probes) {
      const answer = answers.find((one) => one.probe === probe.name);
      if (answer !== undefined && answer.error === undefined) {
        findings.push({ check: probe.name, ok: true, detail: `arrives, ${(answer.tookMs ?? 0).toFixed(1)} ms` });
        continue;
      }
      const index = lostAt(probe, (hop) => (seen.get(`${hop.place} ${counterName(probe, hop)}`) ?? 0) > 0);
      const detail =
        index === undefined
          ? `every hop was passed, but: ${answer?.error ?? 'its program ended'}`
          : explainLoss(probe, index, await readFacts({ probe, index, failed, namespace }));
      findings.push({ check: probe.name, ok: false, detail });
    }
    return findings;
  } catch (error) {
    return [{ check: 'pod to pod', ok: false, detail: `the path cannot be built: ${messageOf(error)}` }];
  } finally {
    await Promise.all(children.map((one) => one.end()));
    await Promise.all(
      places.map((place) =>
        runCommand('ip', ['netns', 'delete', namespace(place)], { okCodes: [0, 1] }).catch(() => {}),
      ),
    );
    await runCommand('ip', ['link', 'delete', bridge], { okCodes: [0, 1] }).catch(() => {});
  }
}

async function build(id: string, bridge: string, namespace: (place: Place) => string): Promise<void> {
  const batch = (lines: readonly string[], ...where: string[]) =>
    runCommand('ip', [...where, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  for (const place of places) await runCommand('ip', ['netns', 'add', namespace(place)]);
  const wired = ['nodea', 'nodeb', 'outside'] as const;
  await batch([
    `link add ${bridge} type bridge`,
    `link set ${bridge} up`,
    ...wired.flatMap((place, index) => [
      `link add k8tp${index}${id} type veth peer name eth0 netns ${namespace(place)}`,
      `link set k8tp${index}${id} master ${bridge} up`,
    ]),
  ]);
  const inside = (place: Place, lines: readonly string[]) =>
    batch(['link set lo up', ...lines], '-n', namespace(place));
  await Promise.all(
    wired.map((place) => inside(place, [`address add ${addresses[place]}/24 dev eth0`, 'link set eth0 up'])),
  );
  for (const [node, pod] of [
    ['nodea', 'poda'],
    ['nodeb', 'podb'],
  ] as const) {
    const gateway = addresses[pod].replace(/\d+$/, '1');
    await inside(node, [
      `link add pod type veth peer name eth0 netns ${namespace(pod)}`,
      `address add ${gateway}/32 dev pod`,
      'link set pod up',
      `route add ${addresses[pod]}/32 dev pod`,
      `address add ${addresses.dns}/32 dev lo`,
    ]);
    await inside(pod, [
      `address add ${addresses[pod]}/32 dev eth0`,
      'link set eth0 up',
      `route add ${gateway}/32 dev eth0`,
      `route add default via ${gateway} dev eth0`,
    ]);
  }
  await Promise.all(
    places.map((place) =>
      runCommand('ip', ['netns', 'exec', namespace(place), 'nft', '-f', '-'], { input: counterRules(place) }),
    ),
  );
}

async function readCounters(namespace: (place: Place) => string): Promise<ReadonlyMap<string, number>> {
  const seen = new Map<string, number>();
  await Promise.all(
    places.map(async (place) => {
      const { stdout } = await runCommand('ip', [
        ...['netns', 'exec', namespace(place), 'nft', '-j', 'list', 'counters', 'table', 'ip', counterTable],
      ]);
      const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] };
      for (const { counter } of nftables) if (counter) seen.set(`${place} ${counter.name}`, counter.packets);
    }),
  );
  return seen;
}

async function readFacts(options: {
  readonly probe: Probe;
  readonly index: number;
  readonly failed: PathFacts['failed'];
  readonly namespace: (place: Place) => string;
}): Promise<PathFacts> {
  const { probe, index, failed, namespace } = options;
  const hop = probe.hops[index] as Hop;
  const forwarding: Partial<Record<Place, string>> = {};
  const noRoute: Partial<Record<Place, string>> = {};
  if (hop.place === 'nodea' || hop.place === 'nodeb') {
    const { stdout } = await runCommand('ip', [
      'netns',
      'exec',
      namespace(hop.place),
      'cat',
      '/proc/sys/net/ipv4/ip_forward',
    ]);
    if (stdout.trim() !== '1') forwarding[hop.place] = 'net.ipv4.ip_forward is 0 there and could not be set';
  }
  const target = hop.back ? addresses[probe.from] : hop.place === 'poda' ? probe.address : addresses.podb;
  const route = await runCommand('ip', ['-n', namespace(hop.place), 'route', 'get', target], { okCodes: [0, 1, 2] });
  if (route.code !== 0) noRoute[hop.place] = `it has no route to ${target} (${route.stderr.trim()})`;
  return { forwarding, noRoute, failed, bridgeFilters: await readBridgeFilters() };
}

/** What on this machine looks into packets between two ports of a bridge and may drop them. */
async function readBridgeFilters(): Promise<string[]> {
  const found: string[] = [];
  const bridgeRules = await runCommand('nft', ['list', 'tables', 'bridge'], { okCodes: [0, 1] });
  const tables = bridgeRules.stdout.trim().split('\n').filter(Boolean);
  if (tables.length > 0) found.push(`nftables has rules for bridges (${tables.join(', ')}): allow links named k8ts*`);
  const setting = '/proc/sys/net/bridge/bridge-nf-call-iptables';
  if (existsSync(setting) && readFileSync(setting, 'utf8').trim() === '1' && (await forwardingIsClosed())) {
    found.push(
      'net.bridge.bridge-nf-call-iptables is 1, so the rules for routed packets, which drop what nobody allowed (Docker sets that), hold ' +
        'for bridges too: iptables -I FORWARD -i k8ts+ -o k8ts+ -j ACCEPT, or sysctl -w net.bridge.bridge-nf-call-iptables=0',
    );
  }
  return found;
}

async function forwardingIsClosed(): Promise<boolean> {
  const none = { stdout: '' };
  const [chains, legacy] = await Promise.all([
    runCommand('nft', ['list', 'chains', 'ip'], { okCodes: [0, 1] }).catch(() => none),
    runCommand('iptables', ['-S', 'FORWARD'], { okCodes: [0, 1, 2, 3, 4] }).catch(() => none),
  ]);
  return /hook forward .*policy drop/.test(chains.stdout) || /^-P FORWARD DROP|-j (DROP|REJECT)/m.test(legacy.stdout);
}

/** A program in one of the namespaces. */
class Worker {
  readonly place: Place;
  readonly answers: Answer[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #over = false;
  #changed: () => void = () => {};

  constructor(place: Place, namespace: string) {
    this.place = place;
    // Compiled code that this process keeps serves those too.
    const cache = getCompileCacheDir();
    const kept = cache === undefined ? [] : ['env', `NODE_COMPILE_CACHE=${dirname(cache)}`];
    const command = [...kept, process.execPath, '--disable-warning=ExperimentalWarning', program, place];
    const child = spawn('ip', ['netns', 'exec', namespace, ...command], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.#over = true;
        this.#changed();
        resolve();
      };
      child.once('error', end);
      child.once('exit', end);
    });
    child.stdin?.on('error', () => {});
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      try {
        this.answers.push(JSON.parse(line) as Answer);
      } catch {}
      this.#changed();
    });
  }

  ask(): void {
    this.#child.stdin?.write('\n');
  }

  /** The first such answer; undefined when the program ended or took too long. */
  async until(wanted: (answer: Answer) => boolean | undefined): Promise<Answer | undefined> {
    const giveUp = new AbortController();
    let late = false;
    sleep(systemClock, patienceMs, giveUp.signal).then(
      () => {
        late = true;
        this.#changed();
      },
      () => {},
    );
    try {
      for (;;) {
        const found = this.answers.find(wanted);
        if (found !== undefined || this.#over || late) return found;
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
      }
    } finally {
      giveUp.abort();
    }
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    if (!this.#over) this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
