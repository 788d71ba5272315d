import { readFileSync } from 'node:fs';

type Texts = readonly [own: string, fields: Readonly<Record<string, string>>];

let texts: Readonly<Record<string, Texts>> | undefined;

const none: Texts = ['', {}];

/** The text of a message and of its fields. Read from disk at the first question: most servers are never asked. */
export function descriptionsOf(typeName: string): Texts {
  texts ??= JSON.parse(readFileSync(new URL('./descriptions.json', import.meta.url), 'utf8')) as Record<string, Texts>;
  return Object.hasOwn(texts, typeName) ? (texts[typeName] as Texts) : none;
}
