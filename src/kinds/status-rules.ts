import type { KindDefinition } from './definition.ts';

/**
 * What kinds with `/status` share at creation: a status that was sent is dropped before the kind's own preparation. (On updates
 * the API server itself keeps status and the rest apart.)
 */
export function withStatusRules(definition: KindDefinition): KindDefinition {
  if (definition.status !== true || definition.statusAtCreation === true) return definition;
  const { prepareForCreate } = definition;
  return {
    ...definition,
    prepareForCreate(draft) {
      delete draft['status'];
      prepareForCreate?.(draft);
    },
  };
}
