import { resource, type Service } from '#api';
import { ageColumn, labelsText, nameColumn, textColumn, wide } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { proxySubresource } from '../verbs.ts';
import { loadBalancerAddresses } from './service-facts.ts';
import { applyServiceDefaults } from './service-defaults.ts';
import { validateService, validateServiceStatusUpdate, validateServiceUpdate } from './service-validation.ts';
import { serviceName } from '../names.ts';

function externalAddress(service: Service): string {
  const external = service.spec?.externalIPs ?? [];
  switch (service.spec?.type) {
    case 'ClusterIP':
    case 'NodePort':
      return external.join(',') || '<none>';
    case 'LoadBalancer':
      return [...loadBalancerAddresses(service.status?.loadBalancer), ...external].join(',') || '<pending>';
    case 'ExternalName':
      return service.spec.externalName ?? '';
    default:
      return '<unknown>';
  }
}

function portsText(service: Service): string {
  const ports = (service.spec?.ports ?? []).map((one) =>
    one.nodePort ? `${one.port}:${one.nodePort}/${one.protocol}` : `${one.port}/${one.protocol}`,
  );
  return ports.join(',') || '<none>';
}

export const serviceKind = defineKind<Service>({
  resource: resource('v1', 'services'),
  storageSegment: 'services/specs',
  status: true,
  initialStatus: { loadBalancer: {} },
  subresources: [proxySubresource('ServiceProxyOptions')],
  allowCreateOnUpdate: true,
  applyDefaults: applyServiceDefaults,
  validateName: serviceName,
  validate: validateService,
  updateRulesFirst: true,
  validateUpdate: validateServiceUpdate,
  validateStatusUpdate: validateServiceStatusUpdate,
  columns: [
    nameColumn,
    textColumn('Type', 'How the service is exposed.', (service) => service.spec?.type ?? ''),
    textColumn('Cluster-IP', 'Its address inside the cluster.', (service) => service.spec?.clusterIPs?.[0] || '<none>'),
    textColumn('External-IP', 'Its addresses outside the cluster.', externalAddress),
    textColumn('Port(s)', 'Ports, node ports and protocols.', portsText),
    ageColumn,
    wide(textColumn('Selector', 'Labels of its pods.', (service) => labelsText(service.spec?.selector))),
  ],
  fieldSelectors: {
    'spec.clusterIP': (service) => service.spec?.clusterIP ?? '',
    'spec.type': (service) => service.spec?.type ?? '',
  },
});
