const keywords: ReadonlySet<string> = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
]);
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
