import type { JSONSchemaProps } from '#api';
import { valuesOf } from './schema-walk.ts';

const stepAt = /\.([^.[\]]+)|\['((?:[^'\\]|\\.)*)'\]/y;

/**
 * The path of a rule's `fieldPath` (`.spec.a`, `.spec['b.c']`) as errors show it, without its first dot; undefined when it names no
 * field of the schema.
 */
export function fieldPathOf(text: string, schema: JSONSchemaProps): string | undefined {
  let at = 0;
  let path = '';
  let current: JSONSchemaProps | undefined = schema;
  while (at < text.length) {
    stepAt.lastIndex = at;
    const step = stepAt.exec(text);
    if (step === null || current === undefined) return undefined;
    at += step[0].length;
    const name: string = step[1] ?? (step[2] as string).replace(/\\(.)/g, '$1');
    const { properties }: JSONSchemaProps = current;
    if (properties !== undefined) {
      if (!Object.hasOwn(properties, name)) return undefined;
      path += path === '' ? name : `.${name}`;
      current = properties[name];
    } else {
      current = valuesOf(current);
      if (current === undefined) return undefined;
      path += `[${name}]`;
    }
  }
  return path === '' ? undefined : path;
}
