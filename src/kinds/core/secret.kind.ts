import { resource, type Secret } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';

export const secretKind = defineKind<Secret>({
  resource: resource('v1', 'secrets'),
  applyDefaults: (draft) => {
    if (!draft.type) draft.type = 'Opaque';
  },
  columns: [
    nameColumn,
    textColumn('Type', 'What the data mean.', (object) => object.type ?? ''),
    textColumn('Data', 'Number of entries.', (object) => Object.keys(object.data ?? {}).length),
    ageColumn,
  ],
  fieldSelectors: { type: (object) => object.type ?? '' },
});
