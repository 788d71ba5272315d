import { type NetworkPolicy, resource } from '#api';
import { ageColumn, nameColumn, selectorText, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateNetworkPolicy } from './network-policy-validation.ts';

export const networkPolicyKind = defineKind<NetworkPolicy>({
  resource: resource('networking.k8s.io/v1', 'networkpolicies'),
  storageSegment: 'networkpolicies',
  generation: true,
  applyDefaults: (draft) => {
    const spec = (draft.spec ??= {});
    if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])])
      for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
  },
  validate: validateNetworkPolicy,
  columns: [
    nameColumn,
    textColumn('Pod-Selector', 'Pods that it applies to.', (object) => selectorText(object.spec?.podSelector)),
    ageColumn,
  ],
});
