import { type NetworkPolicy, type Pod, resource } from '#api';
import { type Clock, type Closable, type Log, messageOf } from '#base';
import type { Informers } from '#client';
import { hasPolicyTable } from './policy-table.ts';

export interface NetworkPoliciesOptions {
  readonly nodeName: string;
  /** Sees policies and, once a policy is about a pod of this node, all pods and namespaces. */
  readonly informers: Informers;
  /** Sees this node's pods (with the node's own identity; the other may not). */
  readonly podInformers: Informers;
  readonly clock: Clock;
  readonly log: Log;
}

export interface NetworkPolicies extends Closable {
  /**
   * Resolves when the rules about a pod with these addresses are in the kernel: the node waits for it before it starts the first
   * container, so no program of an isolated pod ever runs without its rules. At once while no policy exists. Rejects after ten
   * seconds with the reason; then the node tries again.
   */
  ready(pod: Pod, addresses: readonly string[]): Promise<void>;
}

/** Watches for policies; what keeps them is loaded when the first one appears, or when an earlier run left its rules. */
export async function startNetworkPolicies(options: NetworkPoliciesOptions): Promise<NetworkPolicies> {
  const { informers, clock } = options;
  const policies = informers.of<NetworkPolicy>(resource('networking.k8s.io/v1', 'networkpolicies'));
  type Enforcer = Awaited<ReturnType<typeof import('./enforcer.ts')['startEnforcer']>>;
  let enforcer: Promise<Enforcer> | undefined;
  let closed = false;
  const enforce = (): Promise<Enforcer> => {
    enforcer ??= import('./enforcer.ts').then(({ startEnforcer }) => startEnforcer({ ...options, policies }));
    return enforcer;
  };
  const stop = policies.onChange(({ type }) => {
    if (type !== 'deleted' && !closed) void enforce();
  });
  await policies.synced;
  // Rules of an earlier run, whose last policy was deleted meanwhile, are looked for when the node has nothing more urgent to do.
  const look = clock.setTimer(() => {
    if (enforcer !== undefined || closed) return;
    hasPolicyTable()
      .then((left) => (left && !closed ? enforce() : undefined))
      .catch((error) => options.log.debug({ error: messageOf(error) }, 'not known whether policies left rules'));
  }, 5_000);
  return {
    async ready(pod, addresses) {
      await policies.synced;
      if (enforcer === undefined) return;
      await (await enforcer).ready(pod, addresses);
    },
    async close() {
      closed = true;
      stop();
      look.cancel();
      await (await enforcer)?.close();
      policies.close();
    },
  };
}
