/**
 * Derives src/api/generated/types.ts from the facts in src/api/facts: one TypeScript interface a message.
 *
 *   node scripts/generate-types.ts          writes the file
 *   node scripts/generate-types.ts --check  exits 1 when the file on disk is not what the facts say
 *
 * Names are flat. Where two packages share a name, the first in `precedence` keeps it and the other is prefixed
 * with its package: `Event` is core/v1's, `EventsV1Event` is events.k8s.io/v1's.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

type Field = { type: string; required?: boolean };
type Message = { inline?: string[]; fields: Record<string, Field>; resource?: object };
type Package = { package: string; messages?: Record<string, Message>; aliases?: Record<string, string> };

const factsDir = new URL('../src/api/facts/', import.meta.url);
const output = new URL('../src/api/generated/types.ts', import.meta.url);
const precedence = ['meta/v1', 'core/v1', 'apps/v1', 'autoscaling/v2', 'rbac/v1', 'authentication/v1'];
const skipped = new Set(['runtime', 'api/resource', 'util/intstr']);

const special: Record<string, string> = {
  string: 'string',
  bool: 'boolean',
  int32: 'number',
  int64: 'number',
  float64: 'number',
  any: 'unknown',
  '?': 'unknown',
  'types.UID': 'string',
  'meta/v1.Time': 'string',
  'meta/v1.MicroTime': 'string',
  'meta/v1.Duration': 'string',
  'meta/v1.FieldsV1': 'Record<string, unknown>',
  'api/resource.Quantity': 'string',
  'util/intstr.IntOrString': 'number | string',
  'runtime.RawExtension': 'unknown',
  'runtime.Object': 'unknown',
  'apiextensions/v1.JSON': 'unknown',
  'apiextensions/v1.JSONSchemaPropsOrArray': 'JSONSchemaProps | JSONSchemaProps[]',
  'apiextensions/v1.JSONSchemaPropsOrBool': 'JSONSchemaProps | boolean',
  'apiextensions/v1.JSONSchemaPropsOrStringArray': 'JSONSchemaProps | string[]',
};

const packages = readdirSync(factsDir)
  .filter((file) => file.endsWith('.json'))
  .map((file) => JSON.parse(readFileSync(new URL(file, factsDir), 'utf8')) as Package)
  .filter((one) => !skipped.has(one.package))
  .sort((a, b) => rank(a.package) - rank(b.package) || (a.package < b.package ? -1 : 1));

function rank(name: string): number {
  const index = precedence.indexOf(name);
  return index < 0 ? precedence.length : index;
}

const names = new Map<string, string>();
const aliases = new Map<string, string>();
const taken = new Set<string>();
for (const one of packages) {
  for (const [name, target] of Object.entries(one.aliases ?? {})) aliases.set(`${one.package}.${name}`, target);
  for (const name of Object.keys(one.messages ?? {})) {
    const prefix = one.package.replace(/(^|[./])(\w)/g, (_, __, letter: string) => letter.toUpperCase());
    const unique = taken.has(name) ? `${prefix}${name}` : name;
    taken.add(unique);
    names.set(`${one.package}.${name}`, unique);
  }
}

function render(type: string): string {
  if (type in special) return special[type] as string;
  if (type === '[]byte') return 'string';
  if (type.startsWith('*')) return render(type.slice(1));
  if (type.startsWith('[]')) {
    const of = render(type.slice(2));
    return of.includes(' ') ? `(${of})[]` : `${of}[]`;
  }
  const map = /^map\[[^\]]+\](.+)$/.exec(type);
  if (map) return `Record<string, ${render(map[1] as string)}>`;
  const message = names.get(type);
  if (message) return message;
  const alias = aliases.get(type);
  if (alias) return render(alias);
  return 'unknown';
}

const lines = [
  '// Derived from src/api/facts by scripts/generate-types.ts. Do not edit: change the facts or the script.',
  '// Interfaces describe objects as the server returns them; `NewObject<T>` is what a client may send.',
];
for (const one of packages) {
  for (const [name, message] of Object.entries(one.messages ?? {})) {
    const own = `${one.package}.${name}`;
    if (own in special) continue;
    const parents: string[] = [];
    const isObject = (message.inline ?? []).includes('meta/v1.TypeMeta');
    for (const inline of message.inline ?? []) {
      const parent = names.get(inline.split(' ')[0] as string);
      if (parent && parent !== 'TypeMeta') parents.push(parent);
    }
    const isResource =
      'metadata' in message.fields && isObject && message.fields.metadata?.type === 'meta/v1.ObjectMeta';
    lines.push('', `/** ${own} */`);
    lines.push(`export interface ${names.get(own)}${parents.length > 0 ? ` extends ${parents.join(', ')}` : ''} {`);
    if (isObject) {
      const mark = isResource ? '' : '?';
      lines.push(`  apiVersion${mark}: string;`, `  kind${mark}: string;`);
    }
    for (const [field, { type, required }] of Object.entries(message.fields)) {
      let rendered = render(type);
      let optional = !required;
      if (own === 'meta/v1.ObjectMeta') {
        optional = !['name', 'namespace', 'uid', 'resourceVersion', 'creationTimestamp'].includes(field);
      }
      if (type === 'meta/v1.ObjectMeta') {
        if (isResource) optional = false;
        else rendered = 'Partial<ObjectMeta>';
      }
      if (field === 'metadata' && type === 'meta/v1.ListMeta') optional = false;
      if (isResource && field === 'spec') optional = false;
      const key = /^[A-Za-z_]\w*$/.test(field) ? field : `'${field}'`;
      lines.push(`  ${key}${optional ? '?' : ''}: ${rendered};`);
    }
    lines.push('}');
  }
}
const text = `${lines.join('\n')}\n`;
if (process.argv.includes('--check')) {
  if (readFileSync(output, 'utf8') !== text) {
    console.error('src/api/generated/types.ts is stale: run node scripts/generate-types.ts');
    process.exit(1);
  }
} else writeFileSync(output, text);
