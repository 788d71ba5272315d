import { type ConfigMap, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateConfigMap, validateConfigMapUpdate } from './config-validation.ts';

export const configMapKind = defineKind<ConfigMap>({
  resource: resource('v1', 'configmaps'),
  validate: validateConfigMap,
  updateRulesFirst: true,
  validateUpdate: validateConfigMapUpdate,
  columns: [
    nameColumn,
    textColumn(
      'Data',
      'Number of entries, text and binary.',
      (object) => Object.keys(object.data ?? {}).length + Object.keys(object.binaryData ?? {}).length,
    ),
    ageColumn,
  ],
});
