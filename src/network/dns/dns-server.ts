import { createSocket, type Socket as UdpSocket, type SocketOptions } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import { type ConfigMap, type EndpointSlice, resource, type Service } from '#api';
import { type Clock, CodedError, type Closable, type Log, messageOf, type Random } from '#base';
import type { Informers } from '#client';
import { Forwarder } from './forward.ts';
import { keepRecords, readRecords } from './records-file.ts';
import { ClusterRecords } from './records.ts';
import { Resolver } from './resolver.ts';
import {
  type DnsSettings,
  noSettings,
  parseSettings,
  parseUpstream,
  settingsName,
  settingsNamespace,
  type Upstream,
  upstreamsFor,
} from './settings.ts';

export interface DnsServerOptions {
  readonly addresses: readonly string[];
  readonly port?: number;
  readonly domain: string;
  /** Resolvers outside the cluster, `ADDRESS` or `ADDRESS:PORT`; none: names outside the cluster are not found. */
  readonly upstreams: readonly string[];
  /** Keeps the last known names for a start without the API server; absent: nothing is kept. */
  readonly recordsFile?: string;
  /** Address ranges of pods and Services: their reverse names are never asked outside. */
  readonly ranges: readonly string[];
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

interface Listening {
  close(done: () => void): unknown;
}

type UdpLookup = NonNullable<SocketOptions['lookup']>;

const mostConnections = 256;
const idleMs = 10_000;
const mostQuestionsWaiting = 64;
/** One client must not use up what all have: connections, and questions to the outside. */
const mostConnectionsEach = 32;
const mostWaitingEach = 128;

/**
 * Serves the cluster's names over UDP and TCP. Its table stays as it is while the API server is away, and is kept in a file. Whom
 * questions about other names go to may be set by a ConfigMap: see `settings.ts`.
 */
export async function startDnsServer(options: DnsServerOptions): Promise<Closable> {
  const { informers, log, clock, random, recordsFile } = options;
  const records = new ClusterRecords(options.domain);
  const { names } = records;
  if (recordsFile !== undefined) records.restore(readRecords(recordsFile, names.domain, log));
  const keeper = recordsFile === undefined ? undefined : keepRecords({ file: recordsFile, names, clock, log });
  const ranges = options.ranges.map((one) => ipaddr.IPv4.parseCIDR(one));
  const services = informers.of<Service>(resource('v1', 'services'));
  const slices = informers.of<EndpointSlice>(resource('discovery.k8s.io/v1', 'endpointslices'));
  const maps = informers.of<ConfigMap>(resource('v1', 'configmaps'), {
    namespace: settingsNamespace,
    fieldSelector: `metadata.name=${settingsName}`,
  });
  const port = options.port ?? 53;
  let settings: DnsSettings = noSettings;
  const usual = options.upstreams.flatMap((one) => parseUpstream(one) ?? []);
  const isThisServer = (one: Upstream): boolean => one.port === port && options.addresses.includes(one.address);
  const forwarder = new Forwarder({
    // A question that came back to this server would go round for ever.
    upstreamsOf: (name) => upstreamsFor(name, settings, usual).filter((one) => !isThisServer(one)),
    clock,
    random,
  });
  const ends = [
    services.onChange(({ type, object }) => {
      records.setService(object, type === 'deleted');
      keeper?.changed();
    }),
    slices.onChange(({ type, object }) => {
      records.setSlice(object, type === 'deleted');
      keeper?.changed();
    }),
    maps.onChange(({ type, object }) => {
      if (object.metadata.name !== settingsName) return;
      const read = parseSettings(type === 'deleted' ? undefined : object);
      settings = read.settings;
      forwarder.forget();
      for (const problem of read.problems) log.warn({ problem }, `ConfigMap ${settingsNamespace}/${settingsName}`);
    }),
  ];
  void Promise.all([services.synced, slices.synced]).then(() => {
    records.settle();
    keeper?.changed();
  });
  const resolver = new Resolver({
    names,
    forwarder,
    ownReverseZone: (address) => ranges.some((one) => ipaddr.IPv4.parse(address).match(one)),
    random,
  });
  const sockets: Listening[] = [];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0)) end();
    await Promise.all(sockets.splice(0).map((one) => new Promise<void>((resolve) => one.close(() => resolve()))));
    await keeper?.close();
  };
  try {
    for (const address of options.addresses) {
      sockets.push(await listenUdp(resolver, address, port, log));
      sockets.push(await listenTcp(resolver, address, port));
    }
  } catch (error) {
    await close();
    throw new CodedError(
      'DnsNotListening',
      `DNS cannot listen: ${messageOf(error)}; is another DNS server using this address and port 53?`,
      { cause: error },
    );
  }
  return { close };
}

function listenUdp(resolver: Resolver, address: string, port: number, log: Log): Promise<UdpSocket> {
  // Answers go to addresses, never to names: nothing has to be looked up.
  const lookup: UdpLookup = (address, _, callback) => callback(null, address, 4);
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20, lookup });
  const waiting = new Counts();
  socket.on('message', (message, from) => {
    const send = (answer: Buffer | undefined): void => {
      if (answer !== undefined) socket.send(answer, from.port, from.address, () => {});
    };
    if (waiting.of(from.address) >= mostWaitingEach) return;
    const answer = resolver.answer(message, 1232);
    if (!(answer instanceof Promise)) return send(answer);
    waiting.add(from.address, 1);
    answer
      .then(send, (error) => log.warn({ error: messageOf(error) }, 'a DNS question could not be answered'))
      .finally(() => waiting.add(from.address, -1));
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => {
      socket.off('error', reject);
      socket.on('error', (error) => log.warn({ error: error.message }, 'DNS socket'));
      resolve(socket);
    });
  });
}

function listenTcp(resolver: Resolver, address: string, port: number): Promise<Listening> {
  const open = new Counts();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const client = socket.remoteAddress ?? '';
    if (open.of(client) >= mostConnectionsEach) return void socket.destroy();
    open.add(client, 1);
    sockets.add(socket);
    socket.once('close', () => {
      open.add(client, -1);
      sockets.delete(socket);
    });
    serveConnection(resolver, socket);
  });
  server.maxConnections = mostConnections;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => {
      server.off('error', reject);
      server.on('error', () => {});
      resolve({
        close(done) {
          server.close(done);
          for (const one of sockets) one.destroy();
        },
      });
    });
  });
}

/** One connection: messages with a two-byte length before each. It is cut when it is idle or sends more than it reads. */
function serveConnection(resolver: Resolver, socket: Socket): void {
  let received = Buffer.alloc(0);
  let waiting = 0;
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (piece: Buffer) => {
    received = Buffer.concat([received, piece]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE()) {
      const end = 2 + received.readUInt16BE();
      const message = received.subarray(2, end);
      received = received.subarray(end);
      if (++waiting > mostQuestionsWaiting) return void socket.destroy();
      Promise.resolve(resolver.answer(message, 0)).then(
        (answer) => {
          waiting--;
          if (answer === undefined || socket.destroyed) return;
          const length = Buffer.alloc(2);
          length.writeUInt16BE(answer.length);
          socket.write(Buffer.concat([length, answer]));
        },
        () => socket.destroy(),
      );
    }
  });
}

/** How many of something each client has; those with none are forgotten. */
class Counts {
  readonly #counts = new Map<string, number>();

  of(client: string): number {
    return this.#counts.get(client) ?? 0;
  }

  add(client: string, by: 1 | -1): void {
    const count = this.of(client) + by;
    if (count > 0) this.#counts.set(client, count);
    else this.#counts.delete(client);
  }
}
