import { type Clock, sleep } from '#base';
import type { Container, EphemeralContainer, Probe } from '#api';
import type { Cri } from '../cri/contract.ts';
import { type CheckTarget, runHandler } from './handlers.ts';
import type { CheckResult } from './http-check.ts';

export type ProbeKind = 'startup' | 'readiness' | 'liveness';

export interface ProberOptions {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly containerId: string;
  readonly container: Container | EphemeralContainer;
  readonly podIp: string;
  readonly startedAtMs: number;
  /** What was known of this very container before the kubelet restarted. */
  readonly known?: { readonly ready: boolean; readonly started: boolean };
  readonly onChange: () => void;
  readonly onUnhealthy: (kind: ProbeKind, result: CheckResult) => void;
  /** Replaces the real checks, for tests. */
  readonly check?: (kind: ProbeKind, probe: Probe) => Promise<CheckResult>;
}

/** First pause between checks while a container has yet to become ready; doubled until the probe's own period is reached. */
const firstPauseMs = 100;

/**
 * Probes one running container until it is closed. Startup comes first and holds the others back. While a container has never been
 * ready, readiness and startup are asked more often than their period; those extra checks can pass but never count as failures.
 */
export class ContainerProber {
  readonly #options: ProberOptions;
  readonly #ending = new AbortController();
  #started: boolean;
  #ready: boolean;
  #failed: 'liveness' | 'startup' | undefined;

  constructor(options: ProberOptions) {
    const { container, known } = options;
    this.#options = options;
    this.#started = container.startupProbe === undefined || known?.started === true;
    this.#ready = container.readinessProbe === undefined || known?.ready === true;
    if (this.#started) this.#runAfterStartup();
    else if (container.startupProbe !== undefined) void this.#loop('startup', container.startupProbe);
  }

  get started(): boolean {
    return this.#started;
  }

  get ready(): boolean {
    return this.#started && this.#ready;
  }

  get failed(): 'liveness' | 'startup' | undefined {
    return this.#failed;
  }

  /** A pod that is being deleted is no longer restarted, but still leaves the endpoints when it stops being ready. */
  close(): void {
    this.#ending.abort();
  }

  #runAfterStartup(): void {
    const { readinessProbe, livenessProbe } = this.#options.container;
    if (readinessProbe !== undefined) void this.#loop('readiness', readinessProbe);
    if (livenessProbe !== undefined) void this.#loop('liveness', livenessProbe);
  }

  async #loop(kind: ProbeKind, probe: Probe): Promise<void> {
    const { clock, startedAtMs, known } = this.#options;
    const { signal } = this.#ending;
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    const successes = probe.successThreshold ?? 1;
    const failures = probe.failureThreshold ?? 3;
    const settleMs = kind === 'liveness' ? Math.min(periodMs, 1000) : 0;
    const firstAtMs = startedAtMs + Math.max((probe.initialDelaySeconds ?? 0) * 1000, settleMs);
    let pauseMs = kind === 'liveness' || known !== undefined ? periodMs : firstPauseMs;
    let nextCountedMs = 0;
    let passed = 0;
    let missed = 0;
    try {
      await sleep(clock, Math.max(0, firstAtMs - clock.nowMs()), signal);
      nextCountedMs = clock.monotonicMs();
      while (!signal.aborted) {
        const counted = clock.monotonicMs() >= nextCountedMs;
        if (counted) nextCountedMs = clock.monotonicMs() + periodMs;
        const result = await this.#check(kind, probe);
        if (signal.aborted) return;
        if (result.result === 'success') {
          missed = 0;
          if (result.warning) this.#options.onUnhealthy(kind, result);
          if (++passed >= successes && this.#pass(kind)) return;
          if (passed >= successes) pauseMs = periodMs;
        } else if (result.result === 'unknown') {
          if (counted) this.#options.onUnhealthy(kind, result);
        } else if (counted) {
          passed = 0;
          this.#options.onUnhealthy(kind, result);
          if (++missed >= failures && this.#fail(kind)) return;
        } else {
          passed = 0;
        }
        await sleep(clock, Math.min(pauseMs, Math.max(0, nextCountedMs - clock.monotonicMs())), signal);
        pauseMs = Math.min(periodMs, pauseMs * 2);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #check(kind: ProbeKind, probe: Probe): Promise<CheckResult> {
    const { cri, clock, containerId, container, podIp, check } = this.#options;
    if (check !== undefined) return check(kind, probe);
    const target: CheckTarget = { cri, clock, containerId, container, podIp, userAgent: 'kube-probe/1.36' };
    return runHandler(probe, target, (probe.timeoutSeconds ?? 1) * 1000);
  }

  /** True when the probe is done for good. */
  #pass(kind: ProbeKind): boolean {
    if (kind === 'startup') {
      this.#started = true;
      this.#runAfterStartup();
      this.#options.onChange();
      return true;
    }
    if (kind === 'readiness' && !this.#ready) {
      this.#ready = true;
      this.#options.onChange();
    }
    return false;
  }

  #fail(kind: ProbeKind): boolean {
    if (kind === 'readiness') {
      if (this.#ready) {
        this.#ready = false;
        this.#options.onChange();
      }
      return false;
    }
    this.#failed = kind;
    this.#options.onChange();
    return true;
  }
}
