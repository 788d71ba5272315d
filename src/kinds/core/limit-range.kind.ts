import { type LimitRange, resource } from '#api';
import { plainColumns } from '../columns.ts';
import { defineKind } from '../definition.ts';

export const limitRangeKind = defineKind<LimitRange>({
  resource: resource('v1', 'limitranges'),
  columns: plainColumns,
});
