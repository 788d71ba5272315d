import type { AnyObject, SchemaNode } from '#api';
import { type ApiError, errBadRequest } from './errors.ts';
import { itemLabel } from './field-compare.ts';
import { stepText } from './field-set.ts';
import { type Shape, shapeOf } from './field-shape.ts';
import { goQuote, goSyntax, goTypeOf, goValueText } from './go-text.ts';

const mostErrors = 100;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const expected: Readonly<Record<string, string>> = {
  string: 'string',
  boolean: 'boolean',
  int32: 'numeric (int or float)',
  int64: 'numeric (int or float)',
  float64: 'numeric (int or float)',
  bytes: 'string',
  Time: 'string',
  MicroTime: 'string',
  Duration: 'string',
};

/** What upstream prints of a value that does not fit; each check has its own way. */
function gotText(wanted: string, value: unknown): string {
  if (wanted.startsWith('numeric')) return goTypeOf(value);
  return wanted === 'string' ? `&value.valueUnstructured{Value:${goSyntax(value)}}` : `&{${goValueText(value)}}`;
}

/** What keeps a configuration from being applied, with upstream's wording and paths. */
function problems(config: object, node: SchemaNode): string[] {
  const found: string[] = [];
  const walk = (value: unknown, shape: Shape, path: string): void => {
    if (value === null || value === undefined || found.length >= mostErrors) return;
    const { form, scalar, element } = shape.node;
    if (form === 'scalar') {
      const wanted = expected[scalar as string];
      const actual = typeof value === 'bigint' ? 'number' : typeof value;
      const fits =
        wanted === undefined
          ? actual !== 'object'
          : wanted.startsWith('numeric')
            ? actual === 'number'
            : actual === wanted;
      if (!fits) found.push(`${path}: expected ${wanted ?? 'scalar'}, got ${gotText(wanted ?? '', value)}`);
    } else if (form === 'struct' || form === 'map') {
      if (!isObject(value)) return void found.push(`${path}: expected map, got ${gotText('map', value)}`);
      for (const key in value) {
        const at = `${path}.${key}`;
        if (form === 'map') walk(value[key], mapElement(shape), at);
        else {
          const field = shape.field(key);
          if (field !== undefined) walk(value[key], field.shape, at);
          else if (!tolerates(shape.node, key)) found.push(`${at}: field not declared in schema`);
        }
      }
    } else if (form === 'list') {
      if (!Array.isArray(value)) return void found.push(`${path}: expected list, got ${gotText('list', value)}`);
      const inner = element === undefined ? undefined : shapeOf(element);
      const seen = new Set<string>();
      value.forEach((one, index) => {
        let at = `${path}[${index}]`;
        if (shape.kind === 'keyed' || shape.kind === 'set') {
          const wrong = wrongItem(one, shape);
          const label = itemLabel(one, shape);
          if (wrong !== undefined || label === undefined) {
            found.push(`${path}: element ${index}: ${wrong ?? 'has a key that is no scalar'}`);
            return;
          }
          at = `${path}${stepText(label)}`;
          if (seen.has(label)) found.push(`${path}: duplicate entries for key ${stepText(label)}`);
          seen.add(label);
        }
        if (inner !== undefined) walk(one, inner, at);
      });
    }
  };
  walk(config, shapeOf(node), '');
  return found;
}

/** Why an item cannot stand in an associative list. */
function wrongItem(item: unknown, shape: Shape): string | undefined {
  if (shape.kind === 'set') {
    if (Array.isArray(item)) return 'not supported: associative list with lists as elements';
    return isObject(item) ? "associative list without keys has an element that's a map type" : undefined;
  }
  if (item === null) return 'associative list with keys may not have a null element';
  if (!isObject(item)) return 'associative list with keys may not have non-map elements';
  if (shape.keys.some(({ name, fallback }) => (item[name] ?? fallback) !== undefined)) return undefined;
  const keys = shape.keys.map(({ name }) => goQuote(name)).join(' ');
  return `associative list with keys has an element that omits all key fields [${keys}] (and doesn't have default values for any key fields)`;
}

const mapElement = (shape: Shape): Shape =>
  shape.node.element === undefined ? shape.element : shapeOf(shape.node.element);

function tolerates(node: SchemaNode, key: string): boolean {
  if (node.preserveUnknown === true) return true;
  return node.embeddedResource === true && (key === 'apiVersion' || key === 'kind' || key === 'metadata');
}

/** Refuses a configuration with fields, types or list keys that the schema does not have. */
export function checkConfiguration(config: AnyObject, node: SchemaNode): void {
  const found = problems(config, node);
  if (found.length === 0) return;
  throw typedPatchError(
    config,
    found.length === 1 ? (found[0] as string) : `errors:\n${found.map((one) => `  ${one}\n`).join('')}`,
  );
}

function typedPatchError(config: AnyObject, why: string): ApiError {
  const { name = '', namespace = '' } = config.metadata;
  const groupVersion = config.apiVersion.includes('/') ? config.apiVersion : `/${config.apiVersion}`;
  return errBadRequest(
    `failed to create typed patch object (${namespace}/${name}; ${groupVersion}, Kind=${config.kind}): ${why}`,
  );
}
