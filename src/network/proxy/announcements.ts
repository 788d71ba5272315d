import { createSocket } from 'node:dgram';
import { type Clock, type Closable, type Log, messageOf, runCommand, type Timer } from '#base';

/** The discard port: what is sent there wants no answer. */
const discardPort = 9;
/**
 * When it is told again where an address is: a machine that asked while two nodes held it may have heard the wrong one last, and none
 * changes its mind within a second.
 */
const againMs = [3_000, 8_000];
const longestLabel = 15;
const labelEnd = ':lb';

/**
 * Load-balancer addresses that this node answers for on its link. The kernel answers the link's questions (ARP) for an address that a
 * machine holds; a datagram from it to a neighbour that is nobody makes the kernel ask for that neighbour in the address' name, which
 * tells every machine at once where the address now is. Ours carry a label, by which those of an earlier run are found.
 */
export class Announcements implements Closable {
  readonly #uplink: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  #wanted: ReadonlySet<string> = new Set();
  #held: Set<string> | undefined;
  #running: Promise<void> = Promise.resolve();
  #waiting = false;

  constructor(options: { readonly uplink: string; readonly clock: Clock; readonly log: Log }) {
    this.#clock = options.clock;
    this.#uplink = options.uplink;
    this.#log = options.log;
  }

  /** The addresses to hold from now on. `others`: load-balancer addresses of any node, which are no strangers. */
  set(wanted: ReadonlySet<string>, others: ReadonlySet<string>): void {
    const same = wanted.size === this.#wanted.size && [...wanted].every((one) => this.#wanted.has(one));
    if (same && this.#held !== undefined) return;
    this.#wanted = wanted;
    if (this.#waiting) return;
    this.#waiting = true;
    this.#running = this.#running
      .then(() => {
        this.#waiting = false;
        return this.#sync(others);
      })
      .catch((error) => {
        this.#held = undefined;
        this.#log.warn({ error: messageOf(error) }, 'load-balancer addresses not set; tried again at the next change');
      });
  }

  /** Addresses stay: connections outlive the agent, and its next start finds them. */
  async close(): Promise<void> {
    await this.#running;
    for (const one of this.#timers) one.cancel();
  }

  async #sync(others: ReadonlySet<string>): Promise<void> {
    const label = this.#label();
    this.#held ??= await heldAddresses(this.#uplink, label);
    for (const address of [...this.#held]) {
      if (this.#wanted.has(address)) continue;
      await runCommand('ip', ['address', 'delete', `${address}/32`, 'dev', this.#uplink], { okCodes: [0, 2] });
      this.#held.delete(address);
      this.#log.info({ address }, 'a load-balancer address is no longer answered here');
    }
    for (const address of this.#wanted) {
      if (this.#held.has(address)) continue;
      const labelled = label === undefined ? [] : ['label', label];
      await runCommand('ip', ['address', 'replace', `${address}/32`, 'dev', this.#uplink, ...labelled]);
      this.#held.add(address);
      this.#log.info({ address }, 'a load-balancer address is answered here');
      const stranger = neighbourOf(address, (one) => others.has(one));
      if (stranger === undefined) continue;
      speak(address, stranger);
      for (const delayMs of againMs) this.#speakLater(address, stranger, delayMs);
    }
  }

  #speakLater(address: string, stranger: string, delayMs: number): void {
    const timer = this.#clock.setTimer(() => {
      this.#timers.delete(timer);
      if (this.#held?.has(address) === true) speak(address, stranger);
    }, delayMs);
    this.#timers.add(timer);
  }

  #label(): string | undefined {
    const label = `${this.#uplink}${labelEnd}`;
    return label.length <= longestLabel ? label : undefined;
  }
}

async function heldAddresses(uplink: string, label: string | undefined): Promise<Set<string>> {
  if (label === undefined) return new Set();
  const found = (await labelledAddresses()).filter((one) => one.link === uplink && one.label === label);
  return new Set(found.map((one) => one.address));
}

async function labelledAddresses(): Promise<{ link: string; address: string; label: string }[]> {
  const { stdout } = await runCommand('ip', ['-j', '-4', 'address', 'show']);
  const rows = JSON.parse(stdout === '' ? '[]' : stdout) as {
    ifname?: string;
    addr_info?: { local?: string; label?: string; prefixlen?: number }[];
  }[];
  return rows.flatMap(({ ifname, addr_info = [] }) =>
    addr_info.flatMap(({ local, label, prefixlen }) =>
      ifname === undefined || local === undefined || label === undefined || prefixlen !== 32
        ? []
        : [{ link: ifname, address: local, label }],
    ),
  );
}

/** An address beside this one on the link that is no load balancer's. */
export function neighbourOf(address: string, isTaken: (address: string) => boolean): string | undefined {
  const [a, b, c, last = 0] = address.split('.').map(Number);
  for (let flip = 1; flip < 128; flip++) {
    const other = last ^ flip;
    const one = `${a}.${b}.${c}.${other}`;
    if (other !== 0 && other !== 255 && !isTaken(one)) return one;
  }
  return undefined;
}

function speak(from: string, to: string): void {
  const socket = createSocket('udp4');
  const end = (): void => void socket.close();
  socket.once('error', end);
  socket.bind({ address: from, exclusive: true }, () => socket.send(Buffer.alloc(1), discardPort, to, end));
}
