import { resource, type Secret } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateSecret, validateSecretUpdate } from './config-validation.ts';

/** What a client wrote as text, in the form in which data are kept. */
function encodedData(texts: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
}

export const secretKind = defineKind<Secret>({
  resource: resource('v1', 'secrets'),
  applyDefaults: (draft) => {
    if (!draft.type) draft.type = 'Opaque';
    if (draft.stringData == null) return;
    draft.data = { ...draft.data, ...encodedData(draft.stringData) };
    delete draft.stringData;
  },
  validate: validateSecret,
  updateRulesFirst: true,
  validateUpdate: validateSecretUpdate,
  columns: [
    nameColumn,
    textColumn('Type', 'What the data mean.', (object) => object.type ?? ''),
    textColumn('Data', 'Number of entries.', (object) => Object.keys(object.data ?? {}).length),
    ageColumn,
  ],
  fieldSelectors: { type: (object) => object.type ?? '' },
});
