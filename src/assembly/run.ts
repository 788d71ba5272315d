import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { type Closable, CodedError, type Log, messageOf, openLog, systemClock, systemRandom } from '#base';
import type { AgentConfiguration } from './agent-configuration.ts';
import type {
  ApiServerFlags,
  ControllerManagerFlags,
  KubeletFlags,
  ProxyFlags,
  SchedulerFlags,
} from './components/component-flags.ts';
import type { IngressConfiguration } from './ingress.ts';
import type { ServerConfiguration } from './server-configuration.ts';

/** A part that runs alone, with its flags. */
export type RunnableComponent =
  | { readonly name: 'apiserver'; readonly flags: ApiServerFlags; readonly version: string }
  | { readonly name: 'controller-manager'; readonly flags: ControllerManagerFlags }
  | { readonly name: 'scheduler'; readonly flags: SchedulerFlags }
  | { readonly name: 'kubelet'; readonly flags: KubeletFlags }
  | { readonly name: 'proxy'; readonly flags: ProxyFlags };

/** Runs a control plane until SIGTERM or SIGINT; resolves when it has stopped. */
export async function runServer(configFile: string): Promise<void> {
  const log = openLog();
  const configuration = readConfiguration<ServerConfiguration>(configFile);
  const { startServer } = await import('./server.ts');
  await runUntilSignal(log, async () => {
    const server = await startServer({ configuration, clock: systemClock, random: systemRandom, log });
    const { startMemorySaver } = await import('./memory-saver.ts');
    const saver = startMemorySaver({ clock: systemClock });
    return { close: async () => void (await Promise.all([saver.close(), server.close()])) };
  });
}

/** Runs a node until SIGTERM or SIGINT; its pods go on. */
export async function runAgent(configFile: string): Promise<void> {
  const log = openLog();
  const configuration = readConfiguration<AgentConfiguration>(configFile);
  const { startAgent } = await import('./agent.ts');
  await runUntilSignal(log, () => startAgent({ configuration, clock: systemClock, random: systemRandom, log }));
}

/** Serves Ingresses until SIGTERM or SIGINT, or until there has been nothing to serve for a while. */
export async function runIngress(configFile: string): Promise<void> {
  const log = openLog().child({ component: 'ingress' });
  const configuration = readConfiguration<IngressConfiguration>(configFile);
  const { startIngress } = await import('./ingress.ts');
  await runUntilSignal(log, () =>
    startIngress({
      configuration,
      clock: systemClock,
      random: systemRandom,
      log,
      onIdle: () => void process.kill(process.pid, 'SIGTERM'),
    }),
  );
}

/** Runs one part of a control plane or node alone until SIGTERM or SIGINT. */
export async function runComponent(component: RunnableComponent): Promise<void> {
  const means = { clock: systemClock, random: systemRandom, log: openLog() };
  await runUntilSignal(means.log, async () => {
    switch (component.name) {
      case 'apiserver': {
        const { startApiServerAlone } = await import('./components/api-server.ts');
        return startApiServerAlone({ ...means, flags: component.flags, version: component.version });
      }
      case 'controller-manager': {
        const { startControllerManagerAlone } = await import('./components/control-loops.ts');
        return startControllerManagerAlone({ ...means, flags: component.flags });
      }
      case 'scheduler': {
        const { startSchedulerAlone } = await import('./components/control-loops.ts');
        return startSchedulerAlone({ ...means, flags: component.flags });
      }
      case 'kubelet': {
        const { startKubeletAlone } = await import('./components/node-parts.ts');
        return startKubeletAlone({ ...means, flags: component.flags });
      }
      case 'proxy': {
        const { startProxyAlone } = await import('./components/node-parts.ts');
        return startProxyAlone({ ...means, flags: component.flags });
      }
    }
  });
}

function readConfiguration<T>(file: string): T {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CodedError('ConfigurationUnreadable', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    return JSON.parse(text) as T;
  } catch {
    // The parser's words quote the file, which may hold what is nobody's business.
    throw new CodedError('ConfigurationUnreadable', `${file} is no JSON: give the file that k8ts wrote for this part`);
  }
}

async function runUntilSignal(log: Log, start: () => Promise<Closable>): Promise<void> {
  const stop = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.resolve(signal));
  // What a library prints on a full disk is lost, and nothing else is.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  process.on('unhandledRejection', (error) => {
    log.error(
      { error: error instanceof Error ? error.stack : String(error) },
      'a bug: a failure that nobody handled; the process stops',
    );
    process.exit(1);
  });
  let started = false;
  // Who is told to end while it still waits for others (an API server that is away) has nothing to give back.
  void stop.promise.then((signal) => {
    if (started) return;
    log.info({ signal }, 'stopped while starting');
    process.exit(0);
  });
  const running = await start();
  started = true;
  // The next start finds the compiled code also when this process is killed.
  flushCompileCache();
  const signal = await stop.promise;
  log.info({ signal }, 'stopping');
  await running.close();
  process.exit(0);
}
