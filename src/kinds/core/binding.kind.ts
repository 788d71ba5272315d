import { resource } from '#api';
import { defineKind } from '../definition.ts';
import { createOnly } from '../verbs.ts';

export const bindingKind = defineKind({
  resource: resource('v1', 'bindings'),
  verbs: createOnly,
  stored: false,
  columns: [],
});
