import { type Namespace, type NetworkPolicy, type Pod, resource } from '#api';
import { type Closable, CodedError, messageOf, runCommand, sleep, type Timer } from '#base';
import type { Informer } from '#client';
import { openReconcileLoop } from '../reconcile-loop.ts';
import type { NetworkPoliciesOptions } from './network-policies.ts';
import { podFacts } from './pod-facts.ts';
import { emptyPolicyRuleset, policyDifference, policyScript } from './policy-ruleset.ts';
import { PolicyState } from './policy-state.ts';
import { hasPolicyTable } from './policy-table.ts';

export interface EnforcerOptions extends NetworkPoliciesOptions {
  readonly policies: Informer<NetworkPolicy>;
}

const checkEveryMs = 5_000;
/** So long may a pod wait for its rules before it is told why it waits. */
const patienceMs = 10_000;
/** So long an address that the runtime gave may be unknown to the API. */
const earlyMs = 60_000;

/**
 * Keeps the table of policies in step with policies, pods and namespaces. Only what changed is sent, each time in one transaction; a
 * failed one, or a table that somebody removed, is answered by writing everything anew. Pods of other nodes and namespaces are
 * watched only while a policy about a pod of this node asks for them.
 */
export async function startEnforcer(options: EnforcerOptions): Promise<Closable & Pick<PolicyWaits, 'ready'>> {
  const { nodeName, informers, podInformers, policies, clock, log } = options;
  const own = podInformers.of<Pod>(resource('v1', 'pods'), { fieldSelector: `spec.nodeName=${nodeName}` });
  const state = new PolicyState();
  const early = new Map<string, { readonly addresses: readonly string[]; readonly atMs: number }>();
  let others: { pods?: Informer<Pod>; namespaces?: Informer<Namespace> } = {};
  let applied = emptyPolicyRuleset;
  let complete = true;
  let checker: Timer | undefined;
  let lastError = '';
  let closed = false;
  let asked = 0;
  let done = 0;
  const waiting = new Set<{ readonly number: number; readonly resolve: () => void }>();

  /** Watches what the rules need; true when all of it is known. */
  const look = (): boolean => {
    const needs = state.needs();
    if (needs.pods && others.pods === undefined) {
      others.pods = informers.of<Pod>(resource('v1', 'pods'));
      others.pods.onChange(({ type, object }) => {
        state.setPod(object.metadata.uid, type === 'deleted' ? undefined : podFacts(object, earlyOf(object)));
        schedule();
      });
      void others.pods.synced.then(schedule, () => {});
    }
    if (needs.namespaces && others.namespaces === undefined) {
      others.namespaces = informers.of<Namespace>(resource('v1', 'namespaces'));
      others.namespaces.onChange(({ type, object }) => {
        state.setNamespace(object.metadata.name, type === 'deleted' ? undefined : (object.metadata.labels ?? {}));
        schedule();
      });
      void others.namespaces.synced.then(schedule, () => {});
    }
    if (!needs.pods && others.pods !== undefined) {
      others.pods.close();
      others.namespaces?.close();
      others = {};
      state.forgetOthers();
    }
    return (
      (!needs.pods || others.pods?.hasSynced === true) && (!needs.namespaces || others.namespaces?.hasSynced === true)
    );
  };
  const earlyOf = (pod: Pod): readonly string[] => early.get(pod.metadata.uid)?.addresses ?? [];

  const apply = async (): Promise<void> => {
    const number = asked;
    if (!look()) return;
    const next = state.ruleset();
    if (complete || next !== applied) {
      const anew = complete || applied.sets.size === 0 || next.sets.size === 0;
      const script = anew ? policyScript(next) : policyDifference(applied, next);
      if (script !== '') await runCommand('nft', ['-f', '-'], { input: script });
    }
    applied = next;
    complete = false;
    lastError = '';
    done = number;
    for (const one of waiting) {
      if (one.number > done) continue;
      waiting.delete(one);
      one.resolve();
    }
  };
  const loop = openReconcileLoop({
    ...{ reconcile: apply, clock, firstPauseMs: 100, longestPauseMs: 10_000 },
    onFailure(error, delayMs) {
      complete = true;
      lastError = messageOf(error);
      log.warn({ error: lastError, delayMs }, 'rules of network policies not written; all are written anew');
    },
  });
  const schedule = (): void => {
    asked++;
    loop.schedule();
  };
  const check = async (): Promise<void> => {
    if (!loop.isRunning && applied.sets.size > 0) {
      const found = await hasPolicyTable().catch(() => true);
      if (!found && !closed) {
        log.warn({}, 'the table of network policies was removed by someone; it is written anew');
        complete = true;
        schedule();
      }
    }
    if (!closed) checker = clock.setTimer(() => void check(), checkEveryMs);
  };

  const ends = [
    policies.onChange(({ type, object }) => {
      const { namespace = '', name } = object.metadata;
      if (type === 'deleted') state.removePolicy(namespace, name);
      else {
        try {
          state.setPolicy(object);
        } catch (error) {
          log.warn({ policy: `${namespace}/${name}`, error: messageOf(error) }, 'a network policy cannot be read');
          state.setPolicy({ ...object, spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] } });
        }
      }
      schedule();
    }),
    own.onChange(({ type, object }) => {
      const { uid } = object.metadata;
      const given = early.get(uid);
      if (type === 'deleted') {
        early.delete(uid);
        for (const [other, { atMs }] of early) if (clock.monotonicMs() - atMs > earlyMs) early.delete(other);
      } else if (given?.addresses.every((one) => one === object.status?.podIP) === true) early.delete(uid);
      state.setOwnPod(uid, type === 'deleted' ? undefined : podFacts(object, earlyOf(object)));
      if (state.size > 0) schedule();
    }),
  ];
  await Promise.all([policies.synced, own.synced]);
  loop.start();
  schedule();
  checker = clock.setTimer(() => void check(), checkEveryMs);

  return {
    async ready(pod, addresses) {
      if (state.size === 0 || closed) return;
      const { uid } = pod.metadata;
      early.set(uid, { addresses, atMs: clock.monotonicMs() });
      const facts = podFacts(pod, addresses);
      state.setOwnPod(uid, facts);
      if (others.pods !== undefined) state.setPod(uid, facts);
      schedule();
      if (!state.isolates(uid) || (!complete && look() && state.ruleset() === applied)) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const wait = { number: asked, resolve };
      waiting.add(wait);
      const late = new AbortController();
      try {
        await Promise.race([
          promise,
          sleep(clock, patienceMs, late.signal).then(() => {
            throw new CodedError(
              'PolicyRulesMissing',
              `network policies: the rules of this node could not be written${lastError === '' ? ' yet (pods and namespaces are not known)' : `: ${lastError}`}; the pod starts when they are there`,
            );
          }),
        ]);
      } finally {
        waiting.delete(wait);
        late.abort();
      }
    },
    async close() {
      closed = true;
      for (const end of ends) end();
      checker?.cancel();
      others.pods?.close();
      others.namespaces?.close();
      own.close();
      await loop.close();
    },
  };
}

interface PolicyWaits {
  ready(pod: Pod, addresses: readonly string[]): Promise<void>;
}
