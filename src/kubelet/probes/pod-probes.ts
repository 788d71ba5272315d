import type { Clock } from '#base';
import type { Pod } from '#api';
import type { Cri } from '../cri/contract.ts';
import { oldStatus } from '../pods/container-status.ts';
import { findContainer, type PodContainer } from '../pods/containers.ts';
import type { ObservedContainer, PodRuntime } from '../pods/runtime-state.ts';
import type { CheckResult } from './http-check.ts';
import { ContainerProber, type ProbeKind } from './prober.ts';

export interface PodProbesOptions {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly runtimeName: string;
  readonly onChange: () => void;
  readonly onUnhealthy: (container: PodContainer, kind: ProbeKind, result: CheckResult) => void;
}

/** The probes of one pod: one prober a running container, by its id. */
export class PodProbes {
  readonly #options: PodProbesOptions;
  readonly #probers = new Map<string, ContainerProber>();

  constructor(options: PodProbesOptions) {
    this.#options = options;
  }

  /** Starts probing what runs now, stops probing what does not. */
  follow(pod: Pod, runtime: PodRuntime, podIp: string): void {
    const running = new Set<string>();
    for (const one of runtime.containers) {
      if (one.state !== 'running') continue;
      running.add(one.id);
      if (!this.#probers.has(one.id)) this.#start(pod, one, podIp);
    }
    for (const [id, prober] of this.#probers) {
      if (running.has(id)) continue;
      prober.close();
      this.#probers.delete(id);
    }
  }

  of(containerId: string): ContainerProber | undefined {
    return this.#probers.get(containerId);
  }

  close(): void {
    for (const prober of this.#probers.values()) prober.close();
    this.#probers.clear();
  }

  #start(pod: Pod, running: ObservedContainer, podIp: string): void {
    const container = findContainer(pod, running.name);
    if (container === undefined) return;
    const { startupProbe, readinessProbe, livenessProbe } = container.spec;
    if ((startupProbe ?? readinessProbe ?? livenessProbe) === undefined) return;
    const { cri, clock, runtimeName, onChange, onUnhealthy } = this.#options;
    const old = oldStatus(pod, container);
    const same = old?.containerID === `${runtimeName}://${running.id}` && old.state?.running !== undefined;
    this.#probers.set(
      running.id,
      new ContainerProber({
        ...{ cri, clock, podIp, onChange },
        containerId: running.id,
        container: container.spec,
        startedAtMs: running.startedAtMs,
        ...(same ? { known: { ready: old.ready, started: old.started === true } } : {}),
        onUnhealthy: (kind, result) => onUnhealthy(container, kind, result),
      }),
    );
  }
}
