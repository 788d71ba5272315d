/**
 * Derives src/apiserver/openapi/descriptions.json, the texts of `kubectl explain`, from the type declarations of the official client:
 *
 *   npm pack @kubernetes/client-node && tar xzf kubernetes-client-node-*.tgz
 *   node scripts/generate-descriptions.ts package/dist/gen/models
 *
 * One line a message of the facts: its own text, then those of its fields by JSON name. Fields that the declarations leave without a
 * text (those that hold another message) show that message's own.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtinSchema } from '../src/api/index.ts';

const models = process.argv[2];
if (models === undefined)
  throw new Error('usage: node scripts/generate-descriptions.ts DIR (dist/gen/models of @kubernetes/client-node)');
const output = new URL('../src/apiserver/openapi/descriptions.json', import.meta.url);

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** `core/v1.Event` is CoreV1Event where other groups have an Event too, else V1Event. */
function declarationOf(typeName: string): string | undefined {
  const [, group = '', version = '', name = ''] = /^([a-z]+)\/(v\d+)\.(\w+)$/.exec(typeName) ?? [];
  const candidates = [`${capital(group)}${capital(version)}${name}`, `${capital(version)}${name}`].map((one) =>
    join(models as string, `${one}.d.ts`),
  );
  const found = candidates.find((one) => existsSync(one));
  return found === undefined ? undefined : readFileSync(found, 'utf8');
}

const clean = (comment: string): string =>
  comment
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
    .join('\n')
    .trim()
    .replaceAll('*_/', '*/')
    .replace(/\\(["'\\])/g, '$1');

function textsOf(declaration: string, fieldNames: ReadonlyMap<string, string>): [string, Record<string, string>] {
  const body = declaration.indexOf('export declare class');
  const before = declaration.slice(0, body);
  const own = before.slice(before.lastIndexOf('/**') + 3, before.lastIndexOf('*/'));
  const fields: Record<string, string> = {};
  for (const [, comment = '', property = ''] of declaration
    .slice(body)
    .matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*'([^']+)'\??:/g)) {
    const name = fieldNames.get(property) ?? fieldNames.get(property.replace(/^_/, ''));
    if (name !== undefined) fields[name] = clean(comment);
  }
  return [clean(own), fields];
}

const lines: string[] = [];
for (const typeName of builtinSchema.typeNames().sort()) {
  const declaration = declarationOf(typeName);
  if (declaration === undefined) continue;
  const names = [...(builtinSchema.type(typeName).fields?.keys() ?? [])];
  const [own, fields] = textsOf(declaration, new Map(names.map((name) => [name.replaceAll('-', '_'), name])));
  if (own !== '' || Object.keys(fields).length > 0)
    lines.push(`${JSON.stringify(typeName)}:${JSON.stringify([own, fields])}`);
}
writeFileSync(output, `{\n${lines.join(',\n')}\n}\n`);
console.log(`${lines.length} messages`);
