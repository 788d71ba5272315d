import type { NetworkPolicy } from '#api';
import { type PolicyPlan, planPolicy, type Selection } from './plan-policies.ts';
import type { PodFacts } from './pod-facts.ts';
import {
  buildPolicyRules,
  emptyPolicyRuleset,
  fixedPolicySets,
  type PodSet,
  type PolicyRules,
  type PolicyRuleset,
  type PolicySet,
  podSet,
} from './policy-ruleset.ts';

/** The elements of one set, pod by pod. */
interface Members {
  readonly set: PodSet;
  readonly ofPod: Map<string, readonly string[]>;
  elements: ReadonlySet<string> | undefined;
}

/** Whom the rules need to know beside the pods of this node. */
export interface PolicyNeeds {
  readonly pods: boolean;
  readonly namespaces: boolean;
}

/**
 * Policies, pods and namespaces as they are known, and the rules that follow. A change of a pod costs one look at each set; a change
 * of a policy reads the pods again for new sets only. No input or output; what it answers is tested against a naive evaluator.
 */
export class PolicyState {
  readonly #policies = new Map<string, { readonly plan: PolicyPlan; readonly target: PodSet }>();
  readonly #targets = new Map<string, Members>();
  readonly #members = new Map<string, Members>();
  readonly #here = new Map<string, PodFacts>();
  readonly #everywhere = new Map<string, PodFacts>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  #rules: { readonly of: string; readonly rules: PolicyRules } | undefined;
  #fixed = new Map<string, PolicySet>();
  #answer: PolicyRuleset | undefined;

  /** How many policies there are, whether they are about pods of this node or not. */
  get size(): number {
    return this.#policies.size;
  }

  setPolicy(policy: NetworkPolicy): void {
    const plan = planPolicy(policy);
    this.#policies.set(plan.id, { plan, target: podSet(plan.target, true) });
    this.#rules = undefined;
    this.#answer = undefined;
  }

  removePolicy(namespace: string, name: string): void {
    if (!this.#policies.delete(`${namespace}/${name}`)) return;
    this.#rules = undefined;
    this.#answer = undefined;
  }

  /** A pod of this node; undefined when it is gone or no policy is about it. */
  setOwnPod(uid: string, pod: PodFacts | undefined): void {
    this.#setPod(this.#here, true, { uid, pod });
  }

  /** A pod of any node. */
  setPod(uid: string, pod: PodFacts | undefined): void {
    this.#setPod(this.#everywhere, false, { uid, pod });
  }

  setNamespace(name: string, labels: Readonly<Record<string, string>> | undefined): void {
    if (labels === undefined) this.#namespaces.delete(name);
    else this.#namespaces.set(name, labels);
    for (const members of this.#members.values()) {
      if (members.set.selection.namespace !== undefined) continue;
      for (const [uid, pod] of members.set.local ? this.#here : this.#everywhere)
        if (pod.namespace === name) this.#place(members, uid, pod);
    }
  }

  /** Forgets the pods and namespaces that others told of, so that they can be told anew. */
  forgetOthers(): void {
    this.#everywhere.clear();
    this.#namespaces.clear();
    for (const members of this.#members.values()) {
      if (members.set.local) continue;
      members.ofPod.clear();
      members.elements = undefined;
    }
    this.#answer = undefined;
  }

  /** True when a policy is about this pod of this node. */
  isolates(uid: string): boolean {
    this.#currentRules();
    return [...this.#targets.values()].some((one) => one.ofPod.has(uid));
  }

  needs(): PolicyNeeds {
    const peers = [...this.#currentRules().sets.values()].filter((one) => !one.local);
    return {
      pods: peers.length > 0,
      namespaces: peers.some(({ selection }) => selection.namespace === undefined && !selection.namespaces.isEmpty()),
    };
  }

  /** The rules of now; the very same object as before when nothing changed. */
  ruleset(): PolicyRuleset {
    const rules = this.#currentRules();
    if (this.#answer !== undefined) return this.#answer;
    if (rules.sets.size === 0) {
      this.#fixed.clear();
      this.#answer = emptyPolicyRuleset;
      return this.#answer;
    }
    const sets = new Map<string, PolicySet>();
    const ingress = this.#union(rules.isolated.ingress);
    const egress = this.#union(rules.isolated.egress);
    const own = new Set([...ingress, ...egress].map((one) => `${one} . ${one}`));
    sets.set(fixedPolicySets.ingress, this.#keep(fixedPolicySets.ingress, { type: 'ipv4_addr', elements: ingress }));
    sets.set(fixedPolicySets.egress, this.#keep(fixedPolicySets.egress, { type: 'ipv4_addr', elements: egress }));
    sets.set(fixedPolicySets.own, this.#keep(fixedPolicySets.own, { type: 'ipv4_addr . ipv4_addr', elements: own }));
    for (const set of rules.sets.values()) {
      const type = set.port === undefined ? 'ipv4_addr' : 'ipv4_addr . inet_service';
      sets.set(set.name, { type, elements: elementsOf(this.#membersOf(set)) });
    }
    this.#answer = { rules: { ingress: rules.ingress, egress: rules.egress }, sets };
    return this.#answer;
  }

  #setPod(
    pods: Map<string, PodFacts>,
    local: boolean,
    { uid, pod }: { readonly uid: string; readonly pod: PodFacts | undefined },
  ): void {
    if (pod === undefined) pods.delete(uid);
    else pods.set(uid, pod);
    for (const members of this.#members.values()) if (members.set.local === local) this.#place(members, uid, pod);
    if (local) for (const members of this.#targets.values()) this.#place(members, uid, pod);
  }

  #place(members: Members, uid: string, pod: PodFacts | undefined): void {
    const before = members.ofPod.get(uid) ?? [];
    const now = pod !== undefined && this.#chooses(members.set.selection, pod) ? elementsOfPod(members.set, pod) : [];
    if (before.length === now.length && now.every((one, index) => one === before[index])) return;
    if (now.length === 0) members.ofPod.delete(uid);
    else members.ofPod.set(uid, now);
    members.elements = undefined;
    this.#answer = undefined;
  }

  #chooses(selection: Selection, pod: PodFacts): boolean {
    if (selection.namespace !== undefined) {
      if (pod.namespace !== selection.namespace) return false;
    } else if (!selection.namespaces.isEmpty()) {
      const labels = this.#namespaces.get(pod.namespace);
      if (labels === undefined || !selection.namespaces.matches(labels)) return false;
    }
    return selection.pods.matches(pod.labels);
  }

  /** The rules of the policies that have a pod here. They are read again when a policy changed, or the first or last pod of one. */
  #currentRules(): PolicyRules {
    const known = new Map<string, PodSet>();
    const active: PolicyPlan[] = [];
    for (const { plan, target } of this.#policies.values()) {
      known.set(target.name, target);
      if (this.#follow(this.#targets, target).ofPod.size > 0) active.push(plan);
    }
    for (const name of this.#targets.keys()) if (!known.has(name)) this.#targets.delete(name);
    const of = active.map(({ id }) => id).join();
    if (this.#rules?.of === of) return this.#rules.rules;
    const rules = buildPolicyRules(active);
    for (const name of this.#members.keys()) if (!rules.sets.has(name)) this.#members.delete(name);
    this.#rules = { of, rules };
    this.#answer = undefined;
    return rules;
  }

  #membersOf(set: PodSet): Members {
    return this.#follow(this.#members, set);
  }

  #follow(among: Map<string, Members>, set: PodSet): Members {
    let members = among.get(set.name);
    if (members === undefined) {
      members = { set, ofPod: new Map(), elements: undefined };
      among.set(set.name, members);
      for (const [uid, pod] of set.local ? this.#here : this.#everywhere) this.#place(members, uid, pod);
    }
    return members;
  }

  #union(sets: readonly PodSet[]): Set<string> {
    return new Set(sets.flatMap((one) => [...elementsOf(this.#membersOf(one))]));
  }

  /** The set as it was when its elements are the same. */
  #keep(name: string, set: PolicySet): PolicySet {
    const before = this.#fixed.get(name);
    if (before?.elements.size === set.elements.size && [...set.elements].every((one) => before.elements.has(one)))
      return before;
    this.#fixed.set(name, set);
    return set;
  }
}

function elementsOf(members: Members): ReadonlySet<string> {
  members.elements ??= new Set([...members.ofPod.values()].flat());
  return members.elements;
}

function elementsOfPod({ port }: PodSet, pod: PodFacts): readonly string[] {
  if (port === undefined) return pod.addresses;
  const numbers = pod.ports.filter((one) => one.name === port.name && one.protocol === port.protocol);
  return pod.addresses.flatMap((address) => numbers.map((one) => `${address} . ${one.port}`));
}
