import { type LimitRange, type LimitRangeItem, resource } from '#api';
import { plainColumns } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateLimitRange } from './quota-validation.ts';

/** Limits default to the maximum, requests to the limit, else to the minimum. */
function applyItemDefaults(item: LimitRangeItem): void {
  item.default = { ...item.max, ...item.default };
  item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest };
}

export const limitRangeKind = defineKind<LimitRange>({
  resource: resource('v1', 'limitranges'),
  allowCreateOnUpdate: true,
  applyDefaults: (draft) => {
    for (const item of draft.spec?.limits ?? []) if (item.type === 'Container') applyItemDefaults(item);
  },
  validate: validateLimitRange,
  columns: plainColumns,
});
