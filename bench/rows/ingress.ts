import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import {
  type EndpointSlice,
  type Ingress,
  type IngressClass,
  ingressControllerName,
  resource,
  type Service,
} from '#api';
import { silentLog, systemClock, systemRandom } from '#base';
import type { Client } from '#client';
import { loadIngress } from '#network';
import { hasH2load, type LoadRequest, perSecond, runLoad } from '../load/generator.ts';
import { type Bench, median, sleepMs } from '../measurement.ts';
import { type FakeInformers, fakeInformers } from '../target/fake-informers.ts';
import { residentMib } from '../target/process.ts';

const ingresses = 1000;
const resources = {
  classes: resource('networking.k8s.io/v1', 'ingressclasses'),
  ingresses: resource('networking.k8s.io/v1', 'ingresses'),
  services: resource('v1', 'services'),
  slices: resource('discovery.k8s.io/v1', 'endpointslices'),
};

/** The node's Ingress controller in this process, 1,000 Ingresses from fake informers, one backend; load from other processes. */
export const benchIngress: Bench = async ({ quick }, report) => {
  const backend = spawn(process.execPath, [new URL('../load/http-backend.ts', import.meta.url).pathname], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(backend.stdout, 'data')) as [Buffer];
  const informers = fakeInformers();
  fill(informers, Number(line.toString()));
  const { startIngressController } = await loadIngress();
  const controller = await startIngressController({
    nodeName: 'node-0',
    addresses: ['127.0.0.1'],
    ports: { http: 0, https: 0 },
    resolvers: [],
    client: {} as Client,
    informers,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    allow: () => true,
  });
  const { http = 0, https = 0 } = controller.ports;
  const measure = async (name: string, load: Omit<LoadRequest, 'method' | 'path'>): Promise<void> => {
    await runLoad({ ...load, method: 'GET', path: '/hello', seconds: 1 });
    const before = process.cpuUsage();
    const result = await runLoad({ ...load, method: 'GET', path: '/hello', seconds: quick ? 2 : 8 });
    const used = process.cpuUsage(before);
    if (result.failed > 0) throw new Error(`${result.failed} of ${result.succeeded + result.failed} requests failed`);
    const note = `${result.generator}, ${load.connections} connections × ${load.streams}; ${ingresses} Ingresses; backend and load on the same cores`;
    report({ name: `ingress: ${name}, requests`, value: perSecond(result), unit: '/s', note });
    const core = result.succeeded / ((used.user + used.system) / 1e6);
    report({ name: `ingress: ${name}, requests a second of its core`, value: core, unit: '/s', note });
  };
  if (hasH2load()) {
    const plain = { server: `http://127.0.0.1:${http}`, headers: { ':authority': 'host-500.test' }, http1: true };
    await measure('HTTP/1.1', { ...plain, connections: 32, streams: 1 });
  } else report({ name: 'ingress: HTTP/1.1, requests', skipped: 'h2load (nghttp2) is not installed' });
  const secure = { server: `https://127.0.0.1:${https}`, headers: { ':authority': 'host-500.test' } };
  await measure('HTTP/2 over TLS', { ...secure, connections: 16, streams: 8 });

  const tookMs: number[] = [];
  for (let round = 0; round < (quick ? 5 : 20); round++) {
    const host = `new-${round}.test`;
    informers.put(resources.ingresses, anIngress(ingresses + round, host));
    const changedMs = performance.now();
    while ((await statusOf(http, host)) !== 200) await sleepMs(0);
    tookMs.push(performance.now() - changedMs);
    await sleepMs(10);
  }
  report({
    name: `ingress: a new rule beside ${ingresses} Ingresses in force`,
    value: median(tookMs),
    unit: 'ms',
    note: 'p50; informer event to first answer, connection included',
  });
  report({ name: 'ingress: memory of the process', value: residentMib('self'), unit: 'MiB', note: 'after the load' });
  await controller.close();
  backend.stdin.end();
};

function fill(informers: FakeInformers, port: number): void {
  informers.put(resources.classes, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name: 'k8ts', uid: 'class' },
    spec: { controller: ingressControllerName },
  } as unknown as IngressClass);
  informers.put(resources.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default', uid: 'service' },
    spec: { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80 }] },
  } as unknown as Service);
  informers.put(resources.slices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'default', uid: 'slice', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port }],
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
  } as unknown as EndpointSlice);
  for (let i = 0; i < ingresses; i++) informers.put(resources.ingresses, anIngress(i, `host-${i}.test`));
}

function anIngress(index: number, host: string): Ingress {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: `ingress-${index}`, namespace: 'default', uid: `ingress-${index}`, generation: 1 },
    spec: {
      ingressClassName: 'k8ts',
      rules: [
        {
          host,
          http: {
            paths: ['/', '/api', '/static/'].map((path) => ({
              path,
              pathType: 'Prefix',
              backend: { service: { name: 'web', port: { name: 'http' } } },
            })),
          },
        },
      ],
    },
  } as unknown as Ingress;
}

function statusOf(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, path: '/', headers: { host }, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asking.on('error', reject);
    asking.end();
  });
}
