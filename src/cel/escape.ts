import { reserved } from './lexer.ts';

/** Words of the language; `var`, `void` and `while` are reserved, but Kubernetes leaves them as they are. */
const keywords: ReadonlySet<string> = new Set(['true', 'false', 'null', 'in', ...reserved]).difference(
  new Set(['var', 'void', 'while']),
);
const accessible = /^[A-Za-z_.\-/][A-Za-z0-9_.\-/]*$/;
const replacements: Readonly<Record<string, string>> = {
  __: '__underscores__',
  '.': '__dot__',
  '-': '__dash__',
  '/': '__slash__',
};

/** The name by which expressions reach a field; undefined for a field that they cannot reach. */
export function escapeField(name: string): string | undefined {
  if (keywords.has(name)) return `__${name}__`;
  if (!accessible.test(name)) return undefined;
  return name.replace(/__|[.\-/]/g, (one) => replacements[one] as string);
}
