import { type Ingress, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { loadBalancerAddresses } from '../core/service-facts.ts';
import { defineKind } from '../definition.ts';
import { validateIngress, validateIngressStatusUpdate } from './ingress-validation.ts';

function hostsText(ingress: Ingress): string {
  const rules = ingress.spec?.rules ?? [];
  const hosts = rules
    .slice(0, 3)
    .map((one) => one.host ?? '')
    .filter((host) => host !== '');
  if (hosts.length === 0) return '*';
  return rules.length > 3 ? `${hosts.join(',')} + ${rules.length - 3} more...` : hosts.join(',');
}

export const ingressKind = defineKind<Ingress>({
  resource: resource('networking.k8s.io/v1', 'ingresses'),
  storageSegment: 'ingress',
  status: true,
  initialStatus: { loadBalancer: {} },
  generation: true,
  validate: validateIngress,
  validateStatusUpdate: validateIngressStatusUpdate,
  columns: [
    nameColumn,
    textColumn('Class', 'Class that serves it.', (object) => object.spec?.ingressClassName ?? '<none>'),
    textColumn('Hosts', 'Hosts that its rules match.', hostsText),
    textColumn('Address', 'Addresses at which it is served.', (object) =>
      loadBalancerAddresses(object.status?.loadBalancer).join(','),
    ),
    textColumn('Ports', 'Ports at which it is served.', (object) => (object.spec?.tls?.length ? '80, 443' : '80')),
    ageColumn,
  ],
});
