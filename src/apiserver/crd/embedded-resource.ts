import { type AnyObject, builtinSchema } from '#api';
import {
  type FieldError,
  invalidError,
  requiredError,
  validateAgainstSchema,
  validateDns1035Label,
  validateObjectMeta,
} from '#machinery';

/** What a whole object inside a custom resource (`x-kubernetes-embedded-resource`) has against its own type and metadata. */
export function validateEmbeddedResource(value: Readonly<Record<string, unknown>>, field: string): FieldError[] {
  const found: FieldError[] = [];
  for (const name of ['apiVersion', 'kind'] as const) {
    const at = `${field}.${name}`;
    const text = value[name];
    if (text === undefined) found.push(requiredError(at, 'must not be empty'));
    else if (typeof text !== 'string') found.push(invalidError(at, text, 'must be a string'));
    else if (text === '') found.push(invalidError(at, text, 'must not be empty'));
    else if (name === 'apiVersion') {
      if (text.split('/').length > 2) found.push(invalidError(at, text, `unexpected GroupVersion string: ${text}`));
    } else {
      const messages = validateDns1035Label(text.toLowerCase());
      if (messages.length > 0)
        found.push(invalidError(at, text, `may have mixed case, but should otherwise match: ${messages.join(',')}`));
    }
  }
  if (value.metadata !== undefined && value.metadata !== null)
    found.push(...metadataErrors(value.metadata, `${field}.metadata`));
  return found;
}

function metadataErrors(metadata: unknown, field: string): FieldError[] {
  const [wrong] = validateAgainstSchema(metadata, builtinSchema.type('meta/v1.ObjectMeta'));
  if (wrong !== undefined) return [invalidError(field, metadata, wrong.detail)];
  const meta = metadata as AnyObject['metadata'];
  const namespaced = (meta.namespace ?? '') !== '';
  // It needs no name of its own, and one of any kind will do.
  return validateObjectMeta({ ...meta, name: meta.name || 'none' }, { namespaced, validateName: pathSegment, field });
}

const pathSegment = (name: string, prefix: boolean): string[] => [
  ...(!prefix && (name === '.' || name === '..') ? [`may not be '${name}'`] : []),
  ...['/', '%'].filter((one) => name.includes(one)).map((one) => `may not contain '${one}'`),
];
