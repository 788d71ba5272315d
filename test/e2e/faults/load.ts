/**
 * Load of the fault test, a program of its own so that it runs in a machine's network namespace:
 *
 *   node load.ts CONFIG.json
 *
 * asks the Ingress `requestsPerSecond` times a second and creates `writesPerSecond` ConfigMaps a second, until its standard input ends;
 * then prints what came of it as JSON. Like a client of an address with several records, a request goes on to the next node when one
 * cannot be connected to within a second.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import type { KubeObject } from '#api';
import { resource } from '#api';
import { openClient, openKubeconfigTransport } from '#client';

export interface LoadConfiguration {
  readonly addresses: readonly string[];
  readonly host: string;
  readonly requestsPerSecond: number;
  readonly writesPerSecond: number;
  readonly kubeconfig: string;
}

export interface LoadResult {
  readonly asked: number;
  /** Wall time at which each request that found no answer began. */
  readonly failures: readonly { readonly atMs: number; readonly why: string }[];
  readonly slowestMs: number;
  readonly acknowledged: number;
  readonly refusedWrites: number;
  /** Names of ConfigMaps whose creation was acknowledged and that are not there. */
  readonly lost: readonly string[];
}

const connectTimeoutMs = 1_000;
const answerTimeoutMs = 5_000;

function ask(address: string, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: address, port: 80, path: '/', headers: { host, connection: 'close' }, agent: false });
    const connecting = setTimeout(() => asked.destroy(new Error(`${address}: not connected`)), connectTimeoutMs);
    const answering = setTimeout(() => asked.destroy(new Error(`${address}: no answer`)), answerTimeoutMs);
    const end = (error?: Error): void => {
      clearTimeout(connecting);
      clearTimeout(answering);
      if (error === undefined) resolve();
      else reject(error);
    };
    asked.on('socket', (socket) => socket.once('connect', () => clearTimeout(connecting)));
    asked.on('error', end);
    asked.on('response', (response) => {
      response.on('error', end);
      response.on('end', () =>
        end(response.statusCode === 200 ? undefined : new Error(`status ${response.statusCode}`)),
      );
      response.resume();
    });
    asked.end();
  });
}

const configuration = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as LoadConfiguration;
const { addresses, host } = configuration;
const failures: { atMs: number; why: string }[] = [];
const pending = new Set<Promise<void>>();
let asked = 0;
let slowestMs = 0;
let ended = false;

function every(perSecond: number, act: () => Promise<void>): Promise<void> {
  const startMs = performance.now();
  let begun = 0;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = ((performance.now() - startMs) / 1000) * perSecond;
      for (; begun < due && pending.size < 2_000; begun++) {
        const one = act().finally(() => pending.delete(one));
        pending.add(one);
      }
      if (!ended) return;
      clearInterval(timer);
      resolve();
    }, 10);
  });
}

async function askSomebody(): Promise<void> {
  const atMs = Date.now();
  const first = asked++;
  let why = '';
  for (let i = 0; i < addresses.length; i++) {
    try {
      await ask(addresses[(first + i) % addresses.length] as string, host);
      slowestMs = Math.max(slowestMs, Date.now() - atMs);
      return;
    } catch (error) {
      why = (error as Error).message;
    }
  }
  failures.push({ atMs, why });
}

const transport = await openKubeconfigTransport({ file: configuration.kubeconfig });
const client = openClient({ transport, userAgent: 'fault-test' });
const configMaps = resource('v1', 'configmaps');
const namespace = 'default';
const acknowledged: string[] = [];
let refusedWrites = 0;
let written = 0;

async function write(): Promise<void> {
  const name = `fault-${written++}`;
  try {
    await client.create<KubeObject>(
      configMaps,
      { metadata: { name, namespace, labels: { from: 'faults' } } } as never,
      {
        signal: AbortSignal.timeout(answerTimeoutMs),
      },
    );
    acknowledged.push(name);
  } catch {
    refusedWrites++;
  }
}

process.stdin.on('end', () => {
  ended = true;
});
process.stdin.resume();
console.error('started');
await Promise.all([every(configuration.requestsPerSecond, askSomebody), every(configuration.writesPerSecond, write)]);
await Promise.all(pending);
const { items } = await client.list(configMaps, { namespace, labelSelector: 'from=faults' });
const there = new Set(items.map((one) => one.metadata.name));
const result: LoadResult = {
  asked,
  failures,
  slowestMs,
  acknowledged: acknowledged.length,
  refusedWrites,
  lost: acknowledged.filter((name) => !there.has(name)),
};
console.log(JSON.stringify(result));
await transport.close();
process.exit(0);
