import { type Bench, median, sleepMs } from '../measurement.ts';
import { answers, openApiTarget, until } from '../target/api-target.ts';
import { cpuSeconds, residentMib } from '../target/process.ts';
import { startServerProcess } from '../target/server-process.ts';

/** From `spawn` of `k8ts server` on an empty LMDB store to its first useful answers, and what it costs when nobody asks. */
export const benchStartUp: Bench = async ({ quick }, report) => {
  const runs = quick ? 1 : 3;
  const idleSeconds = quick ? 3 : 60;
  const readyMs: number[] = [];
  const usefulMs: number[] = [];
  const cpuMs: number[] = [];
  for (let run = 1; run <= runs; run++) {
    const server = await startServerProcess();
    const api = await openApiTarget(server.kubeconfig);
    const probe = (path: string) => () => answers(api, path);
    const ready = await until(probe('/readyz'), { limitMs: 20_000, what: '/readyz' });
    readyMs.push(ready - server.startedMs);
    cpuMs.push(cpuSeconds(server.pid) * 1000);
    const account = '/api/v1/namespaces/default/serviceaccounts/default';
    const useful = await until(probe(account), { limitMs: 20_000, what: 'the default ServiceAccount' });
    usefulMs.push(useful - server.startedMs);
    if (run === runs) {
      await sleepMs(idleSeconds * 1000);
      report({ name: `memory: control plane idle for ${idleSeconds} s`, value: residentMib(server.pid), unit: 'MiB' });
    }
    await api.close();
    await server.stop();
  }
  const cpu = `${median(cpuMs)} ms of CPU`;
  const note = `process start to answer, empty LMDB store, asked every 5 ms; middle of ${runs}; ${cpu} until ready`;
  report({ name: 'start: API ready (/readyz)', value: median(readyMs), unit: 'ms', note });
  report({ name: 'start: default ServiceAccount exists', value: median(usefulMs), unit: 'ms', note });
};
