import type { FieldSchema, SchemaNode } from '#api';
import { goQuote } from './go-text.ts';

type Json = Record<string, unknown>;

const mostPaths = 100;

function walk(value: unknown, node: SchemaNode, path: string, removed: string[]): void {
  if (typeof value !== 'object' || value === null) return;
  switch (node.form) {
    case 'struct': {
      if (Array.isArray(value)) return;
      const fields = node.fields as ReadonlyMap<string, FieldSchema>;
      for (const key in value) {
        const field = fields.get(key);
        if (field === undefined) {
          if (node.preserveUnknown === true) continue;
          if (node.embeddedResource === true && (key === 'apiVersion' || key === 'kind' || key === 'metadata'))
            continue;
          if (removed.length < mostPaths) removed.push(path === '' ? key : `${path}.${key}`);
          delete (value as Json)[key];
          continue;
        }
        const one = (value as Json)[key];
        if (typeof one === 'object' && one !== null && field.node.form !== 'any') {
          walk(one, field.node, path === '' ? key : `${path}.${key}`, removed);
        }
      }
      return;
    }
    case 'map': {
      const element = node.element;
      if (element === undefined || element.form === 'scalar' || element.form === 'any' || Array.isArray(value)) return;
      for (const key in value) walk((value as Json)[key], element, `${path}.${key}`, removed);
      return;
    }
    case 'list': {
      const element = node.element;
      if (element === undefined || element.form === 'scalar' || element.form === 'any' || !Array.isArray(value)) return;
      for (let i = 0; i < value.length; i++) walk(value[i], element, `${path}[${i}]`, removed);
      return;
    }
    default:
  }
}

/** Removes fields that the schema does not know, in place, and returns their paths (at most 100): `spec.containers[0].foo`. */
export function pruneUnknown(draft: object, node: SchemaNode): string[] {
  const removed: string[] = [];
  walk(draft, node, '', removed);
  return removed;
}

/** `unknown field "spec.foo"`: what a warning or a strict decoding error says of a path from `pruneUnknown`. */
export function unknownFieldText(path: string): string {
  return `unknown field ${goQuote(path)}`;
}
