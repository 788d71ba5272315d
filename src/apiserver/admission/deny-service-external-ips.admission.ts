import type { Service } from '#api';
import type { AdmissionPlugin } from '../contract.ts';
import { refuse } from './refuse.ts';

/** Nobody adds external addresses to a Service: whoever may could take over others' traffic. Those already there may stay. */
export function denyServiceExternalIps(): AdmissionPlugin {
  return {
    name: 'DenyServiceExternalIPs',
    handles: (operation, definition, subresource) =>
      (operation === 'CREATE' || operation === 'UPDATE') &&
      subresource === '' &&
      definition?.resource.plural === 'services' &&
      definition.resource.group === '',
    validate(attributes) {
      const held = new Set((attributes.oldObject as unknown as Service | undefined)?.spec?.externalIPs ?? []);
      const added = ((attributes.object as unknown as Service).spec?.externalIPs ?? []).some((one) => !held.has(one));
      if (added) throw refuse(attributes, 'Use of external IPs is denied by admission control.');
    },
  };
}
