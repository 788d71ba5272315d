import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { openLog, runCommand, systemClock, systemRandom } from '#base';
import { type NewObject, type Pod, type PodSpec, resource } from '#api';
import { openTokenIssuer } from '#apiserver';
import type { Client } from '#client';
import { type Kubelet, loadKubelet } from '#kubelet';
import { type Authority, type Credential, createAuthority, issueCertificate } from '#pki';
import { startCluster, type TestCluster } from '#testkit';
import { type Containerd, startContainerd } from '../containerd.ts';
import { busyboxImage } from '../images.ts';

export const image = 'docker.io/library/busybox:1';
export const pods = resource('v1', 'pods');

/** A control plane in this process and one real node beside it. */
export interface TestNode {
  readonly cluster: TestCluster;
  readonly client: Client;
  readonly directory: string;
  readonly containerd: Containerd;
  readonly ca: Authority;
  readonly admin: Credential;
  port(): number;
  /** Stops the kubelet (pods go on) and starts another. */
  restartKubelet(): Promise<void>;
  stopKubelet(): Promise<void>;
  /** Creates a pod bound to the node; containers get the busybox image unless they name another. */
  run(name: string, spec: Partial<PodSpec> & { containers: object[] }, metadata?: object): Promise<Pod>;
  waitPod(name: string, predicate: (pod: Pod) => boolean, timeoutMs?: number): Promise<Pod>;
  ready(name: string, timeoutMs?: number): Promise<Pod>;
  gone(name: string, timeoutMs?: number): Promise<void>;
  /** GET on the kubelet's server with a certificate, the administrator's unless said otherwise. */
  get(path: string, credential?: Credential | null): Promise<{ status: number; body: string }>;
  log(pod: string, container: string, query?: string): Promise<string>;
  close(): Promise<void>;
}

export async function openTestNode(): Promise<TestNode> {
  await runCommand('ip', ['link', 'set', 'lo', 'up']);
  const directory = process.env.K8TS_E2E_DIRECTORY ?? (await mkdtemp(join(tmpdir(), 'k8ts-e2e-')));
  const group = `/${basename(directory)}`;
  const log = openLog({ level: 'debug', to: join(directory, 'kubelet.log') });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = 'https://kubernetes.default.svc.cluster.local';
  const tokens = openTokenIssuer({
    key: () => privateKey,
    issuer,
    audiences: [issuer],
    clock: systemClock,
    random: systemRandom,
  });
  const cluster = await startCluster({ nodes: 0, server: { tokens } });
  const containerd = await startContainerd(directory, [await busyboxImage(image)]);
  const { client } = cluster;
  const nowMs = systemClock.nowMs();
  const ca = createAuthority({ commonName: 'kubernetes', days: 1, nowMs });
  const serving = issueCertificate(ca, {
    commonName: 'system:node:n1',
    organizations: ['system:nodes'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    days: 1,
    nowMs,
  });
  const admin = issueCertificate(ca, {
    commonName: 'kubernetes-admin',
    organizations: ['system:masters'],
    usages: ['client'],
    days: 1,
    nowMs,
  });

  const { startKubelet } = await loadKubelet();
  const start = (): Promise<Kubelet> =>
    startKubelet({
      nodeName: 'n1',
      client: cluster.clientOf({ user: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] }),
      clock: systemClock,
      random: systemRandom,
      log,
      criSocket: containerd.socket,
      rootDir: join(directory, 'kubelet'),
      podLogsDir: join(directory, 'log', 'pods'),
      nodeIp: '10.88.0.1',
      clusterDns: ['10.96.0.10'],
      cgroupRoot: group,
      tls: { cert: serving.certificatePem, key: serving.keyPem, clientCa: ca.certificatePem },
      port: 0,
    });
  let kubelet = await start();
  await kubelet.registered;

  const node: TestNode = {
    ...{ cluster, client, directory, containerd, ca, admin },
    port: () => kubelet.port ?? 0,
    async restartKubelet() {
      await kubelet.close();
      kubelet = await start();
    },
    stopKubelet: () => kubelet.close(),
    run: (name, spec, metadata = {}) =>
      client.create<Pod>(pods, {
        metadata: { name, namespace: 'default', ...metadata },
        spec: {
          nodeName: 'n1',
          ...spec,
          containers: spec.containers.map((one) => ({ image, ...one })),
          initContainers: spec.initContainers?.map((one) => ({ ...one, image })),
        },
      } as NewObject<Pod>),
    waitPod: (name, predicate, timeoutMs = 20_000) =>
      cluster.waitForOne<Pod>(pods, name, predicate, { namespace: 'default', timeoutMs }),
    ready: (name, timeoutMs) => node.waitPod(name, isReady, timeoutMs),
    async gone(name, timeoutMs = 20_000) {
      await cluster.waitFor<Pod>(pods, (all) => !all.some(({ metadata }) => metadata.name === name), { timeoutMs });
    },
    get: (path, credential = admin) => get(kubelet.port ?? 0, path, credential),
    async log(pod, container, query = '') {
      const { status, body } = await node.get(`/containerLogs/default/${pod}/${container}${query}`);
      if (status !== 200) throw new Error(`log of ${pod}: ${status} ${body}`);
      return body;
    },
    async close() {
      const all = await client.list<Pod>(pods);
      for (const { metadata } of all.items)
        await client.delete(pods, metadata.name, { namespace: metadata.namespace, gracePeriodSeconds: 0 });
      await cluster.waitFor<Pod>(pods, (left) => left.length === 0, { timeoutMs: 20_000 });
      await kubelet.close();
      await containerd.close();
      await cluster.close();
    },
  };
  return node;
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

function get(port: number, path: string, credential: Credential | null): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        ...{ host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false },
        ...(credential === null ? {} : { cert: credential.certificatePem, key: credential.keyPem }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', reject);
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}
