import { type ClusterRole, type PolicyRule, resource } from '#api';
import { changesOf, type Outcome, startController } from '#client';
import { deepEqual, labelSelectorOf } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';

const clusterRoles = resource('rbac.authorization.k8s.io/v1', 'clusterroles');

/** The rules of all roles that an aggregated role's selectors match, each once, by the order of their names. */
export function aggregatedRules(role: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] {
  const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map((one) => labelSelectorOf(one));
  const rules: PolicyRule[] = [];
  for (const selector of selectors) {
    const matching = all.filter(
      (one) => one.metadata.name !== role.metadata.name && selector.matches(one.metadata.labels),
    );
    for (const one of matching.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
      for (const rule of one.rules ?? []) if (!rules.some((known) => deepEqual(known, rule))) rules.push(rule);
    }
  }
  return rules;
}

/** Keeps the rules of ClusterRoles that are put together from others (`admin`, `edit`, `view`). */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<ClusterRole>(clusterRoles);

  async function reconcile(name: string): Promise<Outcome> {
    const role = informer.get(undefined, name);
    if (role?.aggregationRule === undefined) return;
    const rules = aggregatedRules(role, informer.list());
    if (deepEqual(rules, role.rules ?? [])) return;
    informer.observe(await client.update<ClusterRole>(clusterRoles, { ...role, rules }));
  }

  const aggregated = (): string[] =>
    informer
      .list()
      .filter((one) => one.aggregationRule !== undefined)
      .map((one) => one.metadata.name);
  return startController({
    name: 'clusterrole-aggregation',
    queueName: 'ClusterRoleAggregator',
    clock,
    log,
    sources: [changesOf(informer, aggregated)],
    reconcile,
  });
}

export const clusterRoleAggregationController = defineController({ name: 'clusterrole-aggregation-controller', start });
