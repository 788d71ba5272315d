import type { ContainerStatus, Cri, ListedContainer, Sandbox } from '../cri/contract.ts';
import { isRuntimeNotFound } from '../cri/errors.ts';
import { containerHashAnnotation, containerNameLabel, restartCountAnnotation } from '../cri/names.ts';

/** What the runtime knows of one pod, newest first. */
export interface PodRuntime {
  readonly sandboxes: readonly ObservedSandbox[];
  readonly containers: readonly ObservedContainer[];
}

export interface ObservedSandbox {
  readonly id: string;
  readonly attempt: number;
  readonly ready: boolean;
  readonly createdAtMs: number;
  /** Addresses of a ready sandbox, the primary first; empty on the host's network. */
  readonly ips: readonly string[];
}

export interface ObservedContainer {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  /** Which start of this container it is, 0 for the first: `restartCount` in the API. */
  readonly attempt: number;
  readonly state: 'created' | 'running' | 'exited' | 'unknown';
  readonly hash: string;
  readonly createdAtMs: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
  readonly image: string;
  readonly imageRef: string;
  readonly logPath: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly user?: { readonly uid: number; readonly gid: number; readonly supplementalGroups: readonly number[] };
}

export const emptyRuntime: PodRuntime = { sandboxes: [], containers: [] };

/** What the runtime calls the states of a container, in short. */
export const stateNames = {
  CONTAINER_CREATED: 'created',
  CONTAINER_RUNNING: 'running',
  CONTAINER_EXITED: 'exited',
  CONTAINER_UNKNOWN: 'unknown',
} as const;

const milliseconds = (nanoseconds: number): number => Math.floor(nanoseconds / 1e6);

/**
 * Looks at one pod. Two list calls, and one status call for each container or sandbox whose state changed since the last look:
 * what has not changed is remembered.
 */
export class PodObserver {
  readonly #cri: Cri;
  readonly #uid: string;
  readonly #containers = new Map<string, ObservedContainer>();
  readonly #addresses = new Map<string, readonly string[]>();

  constructor(cri: Cri, uid: string) {
    this.#cri = cri;
    this.#uid = uid;
  }

  async observe(): Promise<PodRuntime> {
    const filter = { podUid: this.#uid };
    const [sandboxes, containers] = await Promise.all([
      this.#cri.listPodSandboxes(filter),
      this.#cri.listContainers(filter),
    ]);
    const [seenSandboxes, seenContainers] = await Promise.all([
      Promise.all(sandboxes.map((one) => this.#sandbox(one))),
      Promise.all(containers.map((one) => this.#container(one))),
    ]);
    forgetAbsent(this.#containers, containers);
    forgetAbsent(this.#addresses, sandboxes);
    return {
      sandboxes: seenSandboxes
        .filter((one) => one !== undefined)
        .sort((a, b) => b.createdAtMs - a.createdAtMs || b.attempt - a.attempt),
      containers: seenContainers
        .filter((one) => one !== undefined)
        .sort((a, b) => b.attempt - a.attempt || b.createdAtMs - a.createdAtMs),
    };
  }

  async #sandbox(listed: Sandbox): Promise<ObservedSandbox | undefined> {
    const ready = listed.state === 'SANDBOX_READY';
    let ips = this.#addresses.get(listed.id);
    if (ips === undefined && ready) {
      const status = await orUndefined(this.#cri.podSandboxStatus(listed.id));
      if (status === undefined) return undefined;
      ips = [status.network?.ip ?? '', ...(status.network?.additional_ips ?? []).map(({ ip }) => ip)].filter(
        (ip) => ip !== '',
      );
      if (ips.length > 0) this.#addresses.set(listed.id, ips);
    }
    return {
      id: listed.id,
      attempt: listed.metadata.attempt,
      ready,
      createdAtMs: milliseconds(listed.created_at),
      ips: ips ?? [],
    };
  }

  async #container(listed: ListedContainer): Promise<ObservedContainer | undefined> {
    const known = this.#containers.get(listed.id);
    if (known !== undefined && known.state === stateNames[listed.state] && known.state !== 'unknown') return known;
    const status = await orUndefined(this.#cri.containerStatus(listed.id));
    if (status === undefined) return undefined;
    const seen = observedContainer(listed, status);
    this.#containers.set(listed.id, seen);
    return seen;
  }
}

function observedContainer(listed: ListedContainer, status: ContainerStatus): ObservedContainer {
  const restarts = Number.parseInt(status.annotations[restartCountAnnotation] ?? '', 10);
  const user = status.user?.linux;
  return {
    id: status.id,
    sandboxId: listed.pod_sandbox_id,
    name: status.labels[containerNameLabel] ?? status.metadata.name,
    attempt: Number.isNaN(restarts) ? status.metadata.attempt : restarts,
    state: stateNames[status.state],
    hash: status.annotations[containerHashAnnotation] ?? '',
    createdAtMs: milliseconds(status.created_at),
    startedAtMs: milliseconds(status.started_at),
    finishedAtMs: milliseconds(status.finished_at),
    exitCode: status.exit_code,
    reason: status.reason,
    message: status.message,
    image: status.image?.image ?? '',
    imageRef: status.image_ref,
    logPath: status.log_path,
    annotations: status.annotations,
    ...(user === undefined || user === null
      ? {}
      : { user: { uid: user.uid, gid: user.gid, supplementalGroups: user.supplemental_groups } }),
  };
}

function forgetAbsent(known: Map<string, unknown>, present: readonly { readonly id: string }[]): void {
  const ids = new Set(present.map(({ id }) => id));
  for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
}

async function orUndefined<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isRuntimeNotFound(error)) return undefined;
    throw error;
  }
}

/** The newest start of a container. */
export function latestOf(runtime: PodRuntime, name: string): ObservedContainer | undefined {
  return runtime.containers.find((one) => one.name === name);
}

/** The sandbox in use: the newest. */
export function currentSandbox(runtime: PodRuntime): ObservedSandbox | undefined {
  return runtime.sandboxes[0];
}
