import { type ComponentStatus, resource } from '#api';
import { nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';

const healthy = (object: ComponentStatus) => object.conditions?.find((one) => one.type === 'Healthy');

export const componentStatusKind = defineKind<ComponentStatus>({
  resource: resource('v1', 'componentstatuses'),
  verbs: ['get', 'list'],
  stored: false,
  deprecated: { warning: 'v1 ComponentStatus is deprecated in v1.19+' },
  columns: [
    nameColumn,
    textColumn('Status', 'Status of the component conditions.', (object) => {
      const condition = healthy(object);
      if (condition === undefined) return 'Unknown';
      return condition.status === 'True' ? 'Healthy' : 'Unhealthy';
    }),
    textColumn('Message', 'Message of the component conditions.', (object) => healthy(object)?.message ?? ''),
    textColumn('Error', 'Error of the component conditions.', (object) => healthy(object)?.error ?? ''),
  ],
});
