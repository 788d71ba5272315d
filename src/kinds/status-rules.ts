import type { AnyObject } from '#api';
import type { KindDefinition } from './definition.ts';

/**
 * The rules that every kind with `/status` shares, put around its own strategy functions: a status sent at creation is
 * dropped, an update of the main resource keeps the old status, and an update of status keeps all but status and metadata.
 */
export function withStatusRules(definition: KindDefinition): KindDefinition {
  if (definition.status !== true) return definition;
  const { prepareForCreate, prepareForUpdate, prepareForStatusUpdate } = definition;
  return {
    ...definition,
    prepareForCreate(draft) {
      if (definition.statusAtCreation !== true) delete draft['status'];
      prepareForCreate?.(draft);
    },
    prepareForUpdate(draft, old) {
      copyField(draft, old, 'status');
      prepareForUpdate?.(draft, old);
    },
    prepareForStatusUpdate(draft, old) {
      for (const field of new Set([...Object.keys(draft), ...Object.keys(old)]))
        if (field !== 'status' && field !== 'metadata') copyField(draft, old, field);
      prepareForStatusUpdate?.(draft, old);
    },
  };
}

function copyField(draft: AnyObject, old: AnyObject, field: string): void {
  if (old[field] === undefined) delete draft[field];
  else draft[field] = old[field];
}
