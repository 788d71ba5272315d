import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildImages, type ImageDescription } from '#kubelet';
import { type Result, run } from './harness.ts';

const root = new URL('../..', import.meta.url).pathname;

/** A machine of the tests: a network namespace with an address, a host name, a `--root` and a home of its own. */
export interface TestMachine {
  readonly name: string;
  readonly address: string;
  readonly netns: string;
  readonly root: string;
  readonly home: string;
}

/** Machines on one private link (a bridge in a namespace of its own), without a default route: no packet leaves. */
export class Machines {
  readonly folder = mkdtempSync('/tmp/k8ts-m');
  readonly #prefix: string;
  readonly #machines = new Map<string, TestMachine>();

  constructor(prefix: string) {
    this.#prefix = `${prefix}-${process.pid}`;
  }

  get all(): TestMachine[] {
    return [...this.#machines.values()];
  }

  of(name: string): TestMachine {
    const found = this.#machines.get(name);
    if (found === undefined) throw new Error(`there is no machine ${name}`);
    return found;
  }

  async make(names: readonly string[]): Promise<void> {
    const tools = join(this.folder, 'bin');
    mkdirSync(tools);
    symlinkSync(join(root, 'k8ts'), join(tools, 'k8ts'));
    symlinkSync(join(root, '.cache/tools/kubectl-1.35'), join(tools, 'kubectl'));
    const link = `${this.#prefix}-link`;
    await must('ip', 'netns', 'add', link);
    await must('ip', '-n', link, 'link', 'add', 'br0', 'type', 'bridge');
    await must('ip', '-n', link, 'link', 'set', 'br0', 'up');
    for (const [index, name] of names.entries()) await this.#add(name, index, link);
  }

  async #add(name: string, index: number, link: string): Promise<void> {
    const netns = `${this.#prefix}-${name}`;
    const address = `192.168.60.${10 + index}`;
    const machine = { name, address, netns, root: join(this.folder, name), home: join(this.folder, `${name}-home`) };
    for (const folder of [machine.root, machine.home]) mkdirSync(folder);
    await must('ip', 'netns', 'add', netns);
    this.#machines.set(name, machine);
    await must('ip', '-n', link, 'link', 'add', `port${index}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
    await must('ip', '-n', link, 'link', 'set', `port${index}`, 'master', 'br0', 'up');
    await must('ip', '-n', netns, 'link', 'set', 'lo', 'up');
    await must('ip', '-n', netns, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    await must('ip', '-n', netns, 'link', 'set', 'eth0', 'up');
  }

  /** Runs lines of a shell on a machine, as root in its home; the paths of a real machine are those below its `--root`. */
  shell(name: string, script: string, env: object = {}): Promise<Result> {
    const machine = this.of(name);
    const lines = script.replaceAll(
      /(?<![\w/])\/(etc\/kubernetes|run\/kubernetes|var\/l\w+\/k\w+)/g,
      `${machine.root}/$1`,
    );
    const start = `hostname ${name}; cd ${machine.home}; set -e\n${lines}`;
    const path = `${join(this.folder, 'bin')}:${process.env.PATH}`;
    return run('nsenter', [`--net=/run/netns/${machine.netns}`, 'unshare', '--uts', 'bash', '-c', start], {
      env: { HOME: machine.home, K8TS_ROOT: machine.root, KUBECONFIG: '', PATH: path, ...env },
      timeoutMs: 120_000,
    });
  }

  /** The same, and it must succeed; returns what it printed. */
  async must(name: string, script: string): Promise<string> {
    const { code, stdout, stderr } = await this.shell(name, script);
    if (code !== 0) throw new Error(`on ${name}: ${script}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Brings images to a machine without a registry. */
  async loadImages(name: string, images: readonly ImageDescription[]): Promise<void> {
    const file = join(this.folder, 'images.tar');
    writeFileSync(file, buildImages(images));
    await this.must(name, `ctr -a /run/kubernetes/containerd.sock -n k8s.io images import ${file}`);
  }

  async remove(): Promise<void> {
    for (const { name } of this.all) await this.shell(name, 'k8ts reset --force');
    for (const { netns } of this.all) await run('ip', ['netns', 'delete', netns]);
    await run('ip', ['netns', 'delete', `${this.#prefix}-link`]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function must(program: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await run(program, args);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
}

/** A block of commands of a tutorial page, and where it is to be run. */
export interface PageBlock {
  readonly machine: string;
  /** Token and hash of its join line are those that the master printed last. */
  readonly printed: boolean;
  readonly script: string;
}

/** The blocks of `docs/tutorial/NAME.md` that are marked `<!-- run: MACHINE -->`, in order. */
export function pageBlocks(page: string): PageBlock[] {
  const text = readFileSync(`${root}docs/tutorial/${page}.md`, 'utf8');
  const marked = /<!-- run: (\w+)(, as master printed it)? -->\n```sh\n([\s\S]*?)```/g;
  return [...text.matchAll(marked)].map(([, machine = '', printed, script = '']) => ({
    machine,
    printed: printed !== undefined,
    script,
  }));
}

/** Runs the blocks of a page one after the other; resolves with what each printed. */
export async function runPage(page: string, machines: Machines): Promise<string[]> {
  const outputs: string[] = [];
  for (const { machine, printed, script } of pageBlocks(page)) {
    const line =
      outputs
        .join('\n')
        .match(/k8ts join .*/g)
        ?.at(-1) ?? '';
    const token = /--token (\S+)/.exec(line)?.[1] ?? '';
    const hash = /sha256:\S+/.exec(line)?.[0] ?? '';
    const key =
      outputs
        .join('\n')
        .match(/--certificate-key [0-9a-f]+/g)
        ?.at(-1) ?? '';
    const lines = printed
      ? script
          .replace(/--token \S+/, `--token ${token}`)
          .replace(/sha256:\S+/, hash)
          .replace(/--certificate-key \S+/, key)
      : script;
    outputs.push(await machines.must(machine, lines));
  }
  return outputs;
}
