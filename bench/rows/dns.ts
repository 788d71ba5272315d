import { silentLog, systemClock, systemRandom } from '#base';
import { startDnsServer } from '#network';
import { runLoadFile } from '../load/child.ts';
import type { DnsLoadResult } from '../load/dns-load.ts';
import type { Bench } from '../measurement.ts';
import { fakeInformers } from '../target/fake-informers.ts';
import { aService, aSlice, serviceResource, sliceResource } from '../target/services.ts';

const port = 15_353;
const services = 1000;

/** The node's DNS server in this process, 1,000 Services from fake informers, asked over UDP on loopback by another process. */
export const benchDns: Bench = async ({ quick }, report) => {
  const informers = fakeInformers();
  for (let i = 0; i < services; i++) {
    informers.put(serviceResource, aService(i));
    informers.put(sliceResource, aSlice(i));
  }
  const server = await startDnsServer({
    addresses: ['127.0.0.1'],
    port,
    domain: 'cluster.local',
    upstreams: [],
    ranges: ['10.244.0.0/16', '10.96.0.0/12'],
    informers,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  const names = Array.from({ length: services }, (_, i) => `service-${i}.default.svc.cluster.local`);
  const ask = async (outstanding: number) => {
    const before = process.cpuUsage();
    const result = await runLoadFile<DnsLoadResult>('dns-load.ts', {
      port,
      names,
      outstanding,
      seconds: quick ? 1 : 5,
    });
    const used = process.cpuUsage(before);
    if (result.wrong > 0) throw new Error(`${result.wrong} of ${result.answers} DNS answers were wrong`);
    return { ...result, cpuSeconds: (used.user + used.system) / 1e6 };
  };
  const busy = await ask(64);
  const note = `UDP, A records of ${services} Services, 64 questions outstanding, ${busy.lost} lost`;
  report({ name: 'dns: answers', value: busy.answers / busy.seconds, unit: '/s', note });
  report({ name: 'dns: answers a second of its core', value: busy.answers / busy.cpuSeconds, unit: '/s', note });
  report({ name: 'dns: p99 at that load', value: busy.p99Ms, unit: 'ms', note });
  const calm = await ask(1);
  report({ name: 'dns: one question after the other, p50', value: calm.p50Ms, unit: 'ms' });
  report({ name: 'dns: one question after the other, p99', value: calm.p99Ms, unit: 'ms' });
  await server.close();
};
