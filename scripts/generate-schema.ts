/**
 * Derives src/api/generated/schema.json from the facts in src/api/facts: every message that the API can carry, aliases
 * resolved and embedded messages flattened, in the compact rows that src/api/builtin-schema.ts reads.
 *
 *   node scripts/generate-schema.ts          writes the file
 *   node scripts/generate-schema.ts --check  exits 1 when the file on disk is not what the facts say
 *
 * A row is [name, type, numbers, flags, more?]: `numbers` a protobuf number or a path of them, flags 1 required + 2 pointer.
 * Types are spelled `string`, `string:core/v1.Protocol` (an enum), `@core/v1.PodSpec`, `[]…`, `{}…` (map by string),
 * `items:[]string` (a list that is a message of its own in protobuf), `any`, `any:RawExtension`.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

type Field = {
  type: string;
  num?: number;
  required?: boolean;
  default?: unknown;
  patchStrategy?: string;
  patchMergeKey?: string;
  listType?: string;
  listMapKeys?: string[];
  mapType?: string;
  structType?: string;
};
type Message = { inline?: string[]; fields: Record<string, Field> };
type Package = {
  package: string;
  messages?: Record<string, Message>;
  enums?: Record<string, string[] | null>;
  aliases?: Record<string, string>;
};
type Row = [name: string, type: string, numbers: number | number[], flags: number, more?: Record<string, unknown>];

const factsDir = new URL('../src/api/facts/', import.meta.url);
const output = new URL('../src/api/generated/schema.json', import.meta.url);
const skipped = new Set(['runtime', 'api/resource', 'util/intstr']);

const special: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'boolean',
  int32: 'int32',
  int64: 'int64',
  float64: 'float64',
  any: 'any',
  'types.UID': 'string',
  'meta/v1.Time': 'Time',
  'meta/v1.MicroTime': 'MicroTime',
  'meta/v1.Duration': 'Duration',
  'api/resource.Quantity': 'Quantity',
  'util/intstr.IntOrString': 'IntOrString',
  'meta/v1.FieldsV1': 'any:FieldsV1',
  'runtime.RawExtension': 'any:RawExtension',
  'runtime.Object': 'any',
  'apiextensions/v1.JSON': 'any:JSON',
  'apiextensions/v1.JSONSchemaPropsOrArray': 'any:JSONSchemaPropsOrArray',
  'apiextensions/v1.JSONSchemaPropsOrBool': 'any:JSONSchemaPropsOrBool',
  'apiextensions/v1.JSONSchemaPropsOrStringArray': 'any:JSONSchemaPropsOrStringArray',
};

/** Named lists whose protobuf form is a message with the items in field 1. Other named lists are plain repeated fields. */
const itemsMessages = new Set([
  'authentication/v1.ExtraValue',
  'authorization/v1.ExtraValue',
  'certificates/v1.ExtraValue',
  'meta/v1.Verbs',
]);

const packages = readdirSync(factsDir)
  .filter((file) => file.endsWith('.json'))
  .sort()
  .map((file) => JSON.parse(readFileSync(new URL(file, factsDir), 'utf8')) as Package);

const messages = new Map<string, Message>();
const aliases = new Map<string, string>();
const enums = new Map<string, string[]>();
for (const one of packages) {
  for (const [name, message] of Object.entries(one.messages ?? {})) messages.set(`${one.package}.${name}`, message);
  for (const [name, target] of Object.entries(one.aliases ?? {})) aliases.set(`${one.package}.${name}`, target);
  for (const [name, values] of Object.entries(one.enums ?? {})) {
    if (values !== null) enums.set(`${one.package}.${name}`, values);
  }
}

const usedEnums = new Set<string>();

function spell(type: string): string {
  if (Object.hasOwn(special, type)) return special[type] as string;
  if (type === '[]byte') return 'bytes';
  if (type.startsWith('*')) return spell(type.slice(1));
  if (type.startsWith('[]')) return `[]${spell(type.slice(2))}`;
  const map = /^map\[[^\]]+\](.+)$/.exec(type);
  if (map) return `{}${spell(map[1] as string)}`;
  if (itemsMessages.has(type)) return `items:${spell(aliases.get(type) as string)}`;
  if (enums.has(type)) {
    usedEnums.add(type);
    return `string:${type}`;
  }
  if (messages.has(type)) return `@${type}`;
  const alias = aliases.get(type);
  return alias === undefined ? 'any' : spell(alias);
}

function rowsOf(name: string): Row[] {
  const message = messages.get(name) as Message;
  const rows: Row[] = [];
  for (const inline of message.inline ?? []) {
    const [embedded = '', mark] = inline.split(' #');
    if (embedded === 'meta/v1.TypeMeta') {
      rows.push(['apiVersion', 'string', [], 0], ['kind', 'string', [], 0]);
      continue;
    }
    for (const [field, type, numbers, flags, more] of rowsOf(embedded)) {
      const path = [Number(mark), ...(Array.isArray(numbers) ? numbers : [numbers])];
      rows.push(more === undefined ? [field, type, path, flags] : [field, type, path, flags, more]);
    }
  }
  for (const [field, facts] of Object.entries(message.fields)) {
    const flags = (facts.required ? 1 : 0) + (facts.type.startsWith('*') ? 2 : 0);
    const more: Record<string, unknown> = {};
    if (facts.default !== undefined) more.default = facts.default;
    if (facts.patchStrategy !== undefined) more.patchStrategy = facts.patchStrategy.split(',');
    for (const key of ['patchMergeKey', 'listType', 'listMapKeys', 'mapType', 'structType'] as const) {
      if (facts[key] !== undefined) more[key] = facts[key];
    }
    const row: Row = [field, spell(facts.type), facts.num ?? [], flags];
    if (Object.keys(more).length > 0) row.push(more);
    rows.push(row);
  }
  return rows;
}

const types: string[] = [];
for (const one of packages) {
  if (skipped.has(one.package)) continue;
  for (const name of Object.keys(one.messages ?? {})) {
    const full = `${one.package}.${name}`;
    if (!Object.hasOwn(special, full)) types.push(`${JSON.stringify(full)}:${JSON.stringify(rowsOf(full))}`);
  }
}
const closed = Object.fromEntries([...usedEnums].sort().map((name) => [name, enums.get(name)]));
const text = `{"enums":${JSON.stringify(closed)},\n"types":{\n${types.join(',\n')}}}\n`;

if (process.argv.includes('--check')) {
  if (readFileSync(output, 'utf8') !== text) {
    console.error('src/api/generated/schema.json is stale: run node scripts/generate-schema.ts');
    process.exit(1);
  }
} else writeFileSync(output, text);
