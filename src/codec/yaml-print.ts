import { EncodeError } from './errors.ts';
import { defaultMaxDepth } from './json.ts';
import { plainScalar } from './yaml-scalar.ts';

/** Text that must not stand unquoted though this project's reader would leave it text: other readers see dates or base 60. */
const looksLikeValue =
  /^(\d{4}-\d\d?-\d\d?.*|[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?|=|<<|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$/;
const opensSomething = /^(?:[\s,[\]{}#&*!|>'"%@`]|[-?:](?:\s|$)|---|\.\.\.)/;
const needsEscapes = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\p{Surrogate}/u;
const longestPlainKey = 1000;

/** A value as YAML in the style of kubectl: keys sorted, lists not indented, texts of several lines as they are. */
export function yamlText(value: unknown): string {
  const printer = new Printer();
  printer.document(value);
  return printer.text;
}

class Printer {
  text = '';

  document(value: unknown): void {
    if (isMapping(value) && hasEntries(value)) this.#mapping(value, 0, '');
    else if (Array.isArray(value) && value.length > 0) this.#list(value, 0, '');
    else this.text += `${this.#scalar(value, 0)}\n`;
  }

  /** `lead` stands before the first entry: the indentation, or nothing behind a dash. */
  #mapping(mapping: Readonly<Record<string, unknown>>, indent: number, lead: string): void {
    checkDepth(indent);
    const margin = ' '.repeat(indent);
    let before = lead;
    for (const key of Object.keys(mapping).sort()) {
      const value = mapping[key];
      if (value === undefined) continue;
      const name = keyText(key);
      this.text += key.length > longestPlainKey ? `${before}? ${name}\n${margin}:` : `${before}${name}:`;
      this.#behindKey(value, indent);
      before = margin;
    }
  }

  #behindKey(value: unknown, indent: number): void {
    if (isMapping(value) && hasEntries(value)) {
      this.text += '\n';
      this.#mapping(value, indent + 2, ' '.repeat(indent + 2));
    } else if (Array.isArray(value) && value.length > 0) {
      this.text += '\n';
      this.#list(value, indent, ' '.repeat(indent));
    } else this.text += ` ${this.#scalar(value, indent + 2)}\n`;
  }

  #list(list: readonly unknown[], indent: number, lead: string): void {
    checkDepth(indent);
    const margin = ' '.repeat(indent);
    let before = lead;
    for (const item of list) {
      this.text += `${before}- `;
      if (isMapping(item) && hasEntries(item)) this.#mapping(item, indent + 2, '');
      else if (Array.isArray(item) && item.length > 0) this.#list(item, indent + 2, '');
      else this.text += `${this.#scalar(item, indent + 2)}\n`;
      before = margin;
    }
  }

  #scalar(value: unknown, indent: number): string {
    switch (typeof value) {
      case 'string':
        return stringText(value, indent);
      case 'number':
        return Number.isFinite(value) ? String(value) : 'null';
      case 'bigint':
      case 'boolean':
        return String(value);
      default:
        if (Array.isArray(value)) return '[]';
        return isMapping(value) ? '{}' : 'null';
    }
  }
}

function checkDepth(indent: number): void {
  if (indent > 2 * defaultMaxDepth) throw new EncodeError('exceeded max depth');
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasEntries(mapping: Readonly<Record<string, unknown>>): boolean {
  for (const key of Object.keys(mapping)) if (mapping[key] !== undefined) return true;
  return false;
}

function keyText(key: string): string {
  return key.includes('\n') ? doubleQuoted(key) : stringText(key, 0);
}

function stringText(text: string, indent: number): string {
  if (needsEscapes.test(text)) return doubleQuoted(text);
  if (text.includes('\n')) return fitsLiteral(text) ? literal(text, indent) : doubleQuoted(text);
  if (plainScalarDiffers(text)) return doubleQuoted(text);
  const plain = !opensSomething.test(text) && !/: | #|[\s:]$|\t/.test(text);
  if (plain) return text;
  return text.includes('\t') ? doubleQuoted(text) : `'${text.replaceAll("'", "''")}'`;
}

function plainScalarDiffers(text: string): boolean {
  if (looksLikeValue.test(text)) return true;
  return plainScalar(text) !== text;
}

/** A block shows it as it is: begins with a character, and no line ends in a space that nobody would see. */
function fitsLiteral(text: string): boolean {
  return !/^\s/.test(text) && !/[ \t](\n|$)/.test(text);
}

function literal(text: string, indent: number): string {
  const chomp = text.endsWith('\n\n') ? '+' : text.endsWith('\n') ? '' : '-';
  const body = text.endsWith('\n') ? text.slice(0, -1) : text;
  const margin = ' '.repeat(Math.max(indent, 2));
  return `|${chomp}\n${body
    .split('\n')
    .map((line) => (line === '' ? '' : margin + line))
    .join('\n')}`;
}

function doubleQuoted(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
