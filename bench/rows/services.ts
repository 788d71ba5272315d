import { spawn, spawnSync } from 'node:child_process';
import { silentLog, systemClock } from '#base';
import { startServiceProxy } from '#network';
import { type Bench, median, percentile, sleepMs } from '../measurement.ts';
import { fakeInformers } from '../target/fake-informers.ts';
import { residentMib } from '../target/process.ts';
import { aService, aSlice, serviceResource, sliceResource } from '../target/services.ts';

/**
 * Service rules in nftables, in a network namespace of this process's own. The moment of a change is taken from `nft monitor`,
 * which the kernel tells when a transaction is done.
 */
export const benchServices: Bench = async ({ quick }, report) => {
  const count = quick ? 2000 : 10_000;
  const name = `services: change of one of ${count.toLocaleString('en')} to rule in place`;
  if (spawnSync('nft', ['list', 'tables']).status !== 0)
    return report({ name, skipped: 'nft is not installed or not allowed (needs root)' });
  const informers = fakeInformers();
  for (let i = 0; i < count; i++) {
    informers.put(serviceResource, aService(i));
    informers.put(sliceResource, aSlice(i));
  }
  const startMs = performance.now();
  const proxy = await startServiceProxy({
    nodeName: 'node-0',
    network: { nodeAddresses: ['127.0.0.1'], clusterCidr: '10.128.0.0/9', uplink: 'lo' },
    informers,
    podInformers: fakeInformers(),
    clock: systemClock,
    log: silentLog,
  });
  while (!proxy.synced()) await sleepMs(1);
  report({
    name: `services: all rules of ${count.toLocaleString('en')} written anew`,
    value: performance.now() - startMs,
    unit: 'ms',
    note: '2 endpoints each, start of the proxy to first transaction done',
  });
  const monitor = await openMonitor();
  const tookMs: number[] = [];
  const rounds = quick ? 10 : 30;
  for (let round = 1; round <= rounds; round++) {
    const slice = aSlice((round * 37) % count, round);
    const seen = monitor.next(slice.endpoints?.[0]?.addresses[0] as string);
    const changedMs = performance.now();
    informers.put(sliceResource, slice);
    tookMs.push((await seen) - changedMs);
    await sleepMs(20);
  }
  const note = `informer event to nft monitor, ${rounds} changes of a slice's endpoints`;
  report({ name, value: median(tookMs), unit: 'ms', note: `p50; ${note}` });
  report({
    name: `${name}, p90`,
    value: percentile(
      tookMs.toSorted((a, b) => a - b),
      0.9,
    ),
    unit: 'ms',
    note,
  });
  report({
    name: 'services: memory of the process',
    value: residentMib('self'),
    unit: 'MiB',
    note: 'fake informers included',
  });
  monitor.close();
  await proxy.close();
};

async function openMonitor() {
  const child = spawn('nft', ['monitor', 'new', 'elements'], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  const waiting = new Map<string, (atMs: number) => void>();
  let rest = '';
  child.stdout.on('data', (piece: Buffer) => {
    const atMs = performance.now();
    const lines = (rest + piece.toString()).split('\n');
    rest = lines.pop() as string;
    for (const [address, resolve] of waiting) {
      if (!lines.some((line) => line.includes(address))) continue;
      waiting.delete(address);
      resolve(atMs);
    }
  });
  await sleepMs(1000);
  return {
    next: (address: string) => new Promise<number>((resolve) => waiting.set(address, resolve)),
    close: () => child.kill('SIGKILL'),
  };
}
