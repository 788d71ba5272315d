import { backoffDelayMs, type Clock, type Timer } from '#base';
import { deepEqual } from '#machinery';
import type { ClusterEvent } from '../framework.ts';
import type { PodInfo } from '../state/pod-info.ts';
import { Heap } from './heap.ts';

/**
 * A pod waiting for a node.
 *
 *   add ──► active ──pop──► (being scheduled) ──placed──► gone
 *             ▲  ▲                  │
 *             │  └── backoff ◄──────┤ an error, or refused and an event has come
 *             │        ▲            │
 *   gates go  │        └─event── parked ◄── refused
 *   gated ────┘
 */
export interface QueuedPod {
  info: PodInfo;
  where: 'active' | 'backoff' | 'parked' | 'gated' | 'out';
  readonly sequence: number;
  readonly addedMs: number;
  attempts: number;
  /** When its delay ends, once it has failed. */
  backoffUntilMs: number;
  /** Failed by an error rather than a refusal: its delay is never cut short. */
  erred: boolean;
  parkedMs: number;
  /** Names of the plugins that refused it. */
  refusedBy: ReadonlySet<string>;
}

export interface SchedulingQueueOptions {
  readonly clock: Clock;
  /** Which plugins' refusals an event may undo. */
  readonly wakes: (event: ClusterEvent, refusedBy: ReadonlySet<string>) => boolean;
}

const backoff = { firstMs: 1000, longestMs: 10_000 };
const longestParkedMs = 5 * 60_000;
const parkedCheckMs = 30_000;

const byImportance = (a: QueuedPod, b: QueuedPod): boolean =>
  a.info.priority !== b.info.priority ? a.info.priority > b.info.priority : a.sequence < b.sequence;
const byDelay = (a: QueuedPod, b: QueuedPod): boolean => a.backoffUntilMs < b.backoffUntilMs;

/** Pods in the order in which they are to be scheduled: by priority, then first come. */
export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #wakes: SchedulingQueueOptions['wakes'];
  readonly #pods = new Map<string, QueuedPod>();
  readonly #active = new Heap<QueuedPod>(byImportance);
  readonly #waiting = new Heap<QueuedPod>(byDelay);
  readonly #erred = new Heap<QueuedPod>(byDelay);
  readonly #parked = new Set<QueuedPod>();
  #sequence = 0;
  #wake: (() => void) | undefined;
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #parkedTimer: Timer | undefined;
  #open = true;

  constructor(options: SchedulingQueueOptions) {
    this.#clock = options.clock;
    this.#wakes = options.wakes;
    this.#watchParked();
  }

  get size(): number {
    return this.#pods.size;
  }

  /** Pods that could be popped now. */
  get ready(): number {
    return this.#active.size + this.#waiting.size;
  }

  /** Pods by where they wait, in upstream's words; those that are being scheduled are in none. */
  counts(): Record<'active' | 'backoff' | 'unschedulable' | 'gated', number> {
    let gated = 0;
    for (const one of this.#pods.values()) if (one.where === 'gated') gated++;
    const backoff = this.#waiting.size + this.#erred.size;
    return { active: this.#active.size, backoff, unschedulable: this.#parked.size, gated };
  }

  has(uid: string): boolean {
    return this.#pods.has(uid);
  }

  /** A new pod, or a newer version of a waiting one: what it asks for having changed, it is tried again. */
  set(info: PodInfo): void {
    const known = this.#pods.get(info.uid);
    if (known === undefined) {
      const queued: QueuedPod = {
        info,
        where: 'out',
        sequence: this.#sequence++,
        addedMs: this.#clock.monotonicMs(),
        attempts: 0,
        backoffUntilMs: 0,
        erred: false,
        parkedMs: 0,
        refusedBy: new Set(),
      };
      this.#pods.set(info.uid, queued);
      if (isGated(info)) queued.where = 'gated';
      else this.#activate(queued);
      return;
    }
    const before = known.info;
    const asksOtherwise =
      before.shape !== info.shape || before.priority !== info.priority || !deepEqual(before.labels, info.labels);
    if (known.where === 'active') this.#active.delete(known);
    known.info = info;
    if (known.where === 'active') this.#active.push(known);
    else if (known.where === 'gated') {
      if (!isGated(info)) this.#activate(known);
    } else if (known.where === 'parked' && asksOtherwise) this.#release(known);
  }

  delete(uid: string): void {
    const queued = this.#pods.get(uid);
    if (queued === undefined) return;
    this.#pods.delete(uid);
    this.#take(queued);
  }

  /** The next pod. When none is active, one whose delay after a refusal is running may come early. */
  pop(): QueuedPod | undefined {
    this.#expire();
    const queued = this.#active.pop() ?? this.#waiting.pop();
    if (queued === undefined) return undefined;
    queued.where = 'out';
    queued.attempts++;
    return queued;
  }

  /** Resolves when `pop` has something to give or the queue is closed. */
  wait(): Promise<void> {
    if (!this.#open || this.ready > 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Gives a popped pod back: parked until an event that may help, or after an error delayed. */
  giveBack(queued: QueuedPod, refusedBy: ReadonlySet<string> | undefined): void {
    if (this.#pods.get(queued.info.uid) !== queued) return;
    const nowMs = this.#clock.monotonicMs();
    queued.backoffUntilMs = nowMs + backoffDelayMs(backoff, queued.attempts);
    queued.erred = refusedBy === undefined;
    queued.refusedBy = refusedBy ?? new Set();
    if (refusedBy === undefined) this.#delay(queued);
    else {
      queued.where = 'parked';
      queued.parkedMs = nowMs;
      this.#parked.add(queued);
    }
  }

  /** Releases parked pods that an event may help; `helps` may know better for one pod. */
  happened(event: ClusterEvent, helps?: (queued: QueuedPod) => boolean): void {
    for (const queued of [...this.#parked]) {
      if (this.#wakes(event, queued.refusedBy) && (helps === undefined || helps(queued))) this.#release(queued);
    }
  }

  close(): void {
    this.#open = false;
    this.#timer?.cancel();
    this.#parkedTimer?.cancel();
    this.#notify();
  }

  #take(queued: QueuedPod): void {
    if (queued.where === 'active') this.#active.delete(queued);
    else if (queued.where === 'backoff') this.#waiting.delete(queued) || this.#erred.delete(queued);
    else if (queued.where === 'parked') this.#parked.delete(queued);
    queued.where = 'out';
  }

  #release(queued: QueuedPod): void {
    this.#parked.delete(queued);
    if (this.#clock.monotonicMs() >= queued.backoffUntilMs) this.#activate(queued);
    else this.#delay(queued);
  }

  #activate(queued: QueuedPod): void {
    queued.where = 'active';
    this.#active.push(queued);
    this.#notify();
  }

  #delay(queued: QueuedPod): void {
    queued.where = 'backoff';
    (queued.erred ? this.#erred : this.#waiting).push(queued);
    if (!queued.erred) this.#notify();
    this.#arm();
  }

  #expire(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const heap of [this.#waiting, this.#erred]) {
      for (let next = heap.peek(); next !== undefined && next.backoffUntilMs <= nowMs; next = heap.peek()) {
        heap.pop();
        this.#activate(next);
      }
    }
  }

  /** Sees to it that delays end without anyone popping. */
  #arm(): void {
    const dueMs = Math.min(
      this.#waiting.peek()?.backoffUntilMs ?? Number.POSITIVE_INFINITY,
      this.#erred.peek()?.backoffUntilMs ?? Number.POSITIVE_INFINITY,
    );
    if (!this.#open || dueMs >= this.#timerDueMs || dueMs === Number.POSITIVE_INFINITY) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = this.#clock.setTimer(
      () => {
        this.#timerDueMs = Number.POSITIVE_INFINITY;
        this.#expire();
        this.#arm();
      },
      Math.max(0, dueMs - this.#clock.monotonicMs()),
    );
  }

  /** Whatever was overlooked is tried again after five minutes. */
  #watchParked(): void {
    this.#parkedTimer = this.#clock.setTimer(() => {
      const nowMs = this.#clock.monotonicMs();
      for (const queued of [...this.#parked]) if (nowMs - queued.parkedMs >= longestParkedMs) this.#release(queued);
      if (this.#open) this.#watchParked();
    }, parkedCheckMs);
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

const isGated = (info: PodInfo): boolean => (info.pod.spec?.schedulingGates?.length ?? 0) > 0;
