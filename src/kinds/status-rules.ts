import { cloneObject } from '#machinery';
import type { KindDefinition } from './definition.ts';

/**
 * What kinds with `/status` share at creation: a status that was sent is replaced by the initial one before the kind's own preparation. (On updates
 * the API server itself keeps status and the rest apart.)
 */
export function withStatusRules(definition: KindDefinition): KindDefinition {
  if (definition.status !== true || definition.statusAtCreation === true) return definition;
  const { prepareForCreate, initialStatus } = definition;
  return {
    ...definition,
    prepareForCreate(draft) {
      if (initialStatus === undefined) delete draft['status'];
      else draft['status'] = cloneObject(initialStatus);
      prepareForCreate?.(draft);
    },
  };
}
