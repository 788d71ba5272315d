import { DecodeError } from './errors.ts';
import { FlowReader } from './yaml-flow.ts';
import { closingQuote, defineOwn, notPlainYaml, unquote } from './yaml-quoted.ts';
import { plainScalar } from './yaml-scalar.ts';

const unusualCharacters = /[\0-\x08\x0b-\x1f\x7f\u0085\u2028\u2029\ufeff]/;
const unusualFirst = new Set([...'&*!%@`,]}']);
const longestKey = 1000;

/**
 * The documents of a YAML text of the kind that manifests are made of: block mappings and sequences, all styles of scalars,
 * flow collections in one line. Many times faster than a full parser and safe with any input: linear, bounded depth.
 * Throws `notPlainYaml` at anything else (anchors, tags, directives, errors of syntax) without judging it.
 */
export function readPlainYaml(
  text: string,
  options: { readonly maxDepth: number; readonly strict: boolean },
): unknown[] {
  if (unusualCharacters.test(text)) throw notPlainYaml;
  return new BlockReader(text.split('\n'), options).documents();
}

class BlockReader {
  readonly #lines: string[];
  readonly #maxDepth: number;
  readonly #strict: boolean;
  #at = 0;
  /** Of the line at hand, after `#next`. */
  #line = '';
  /** Where its content begins; further right inside of `- - a`. */
  #indent = -1;

  constructor(lines: string[], options: { readonly maxDepth: number; readonly strict: boolean }) {
    this.#lines = lines;
    this.#maxDepth = options.maxDepth;
    this.#strict = options.strict;
  }

  documents(): unknown[] {
    const documents: unknown[] = [];
    while (this.#at < this.#lines.length) {
      if (this.#next()) documents.push(this.#node(0));
      if (this.#next()) throw notPlainYaml;
      this.#at++;
    }
    return documents;
  }

  /** Goes to the next line with content; false at the end of the document. */
  #next(): boolean {
    for (; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at] as string;
      let indent = 0;
      while (line.charCodeAt(indent) === 0x20) indent++;
      if (indent === line.length || line.charCodeAt(indent) === 0x23) continue;
      if (indent === 0 && (line.startsWith('---') || line.startsWith('...') || line.startsWith('%'))) {
        if (line !== '---') throw notPlainYaml;
        this.#indent = -1;
        return false;
      }
      if (line.includes('\t')) throw notPlainYaml;
      this.#line = withoutTrailingSpaces(line);
      this.#indent = indent;
      return true;
    }
    this.#indent = -1;
    return false;
  }

  #node(depth: number): unknown {
    if (depth > this.#maxDepth) throw new DecodeError('TooDeep', 'exceeded max depth');
    return this.#isDash(this.#indent) ? this.#sequence(this.#indent, depth) : this.#mapping(this.#indent, depth);
  }

  #isDash(column: number): boolean {
    return (
      this.#line.charCodeAt(column) === 0x2d &&
      (this.#line.length === column + 1 || this.#line.charCodeAt(column + 1) === 0x20)
    );
  }

  #sequence(indent: number, depth: number): unknown[] {
    if (depth > this.#maxDepth) throw new DecodeError('TooDeep', 'exceeded max depth');
    const items: unknown[] = [];
    do {
      let column = indent + 1;
      while (this.#line.charCodeAt(column) === 0x20) column++;
      if (column === this.#line.length || this.#line.charCodeAt(column) === 0x23) {
        this.#at++;
        items.push(this.#next() && this.#indent > indent ? this.#node(depth + 1) : null);
      } else if (this.#isDash(column) || this.#keyEnd(column) >= 0) {
        this.#indent = column;
        items.push(this.#node(depth + 1));
      } else items.push(this.#scalar(column, indent, depth + 1));
    } while (this.#next() && this.#indent === indent && this.#isDash(indent));
    if (this.#indent > indent) throw notPlainYaml;
    return items;
  }

  #mapping(indent: number, depth: number): Record<string, unknown> {
    const mapping: Record<string, unknown> = {};
    do {
      const colon = this.#keyEnd(indent);
      if (colon < 0) throw notPlainYaml;
      const key = this.#key(indent, colon);
      let column = colon + 1;
      while (this.#line.charCodeAt(column) === 0x20) column++;
      let value: unknown = null;
      if (column >= this.#line.length || this.#line.charCodeAt(column) === 0x23) {
        this.#at++;
        if (this.#next()) {
          if (this.#indent > indent) value = this.#node(depth + 1);
          else if (this.#indent === indent && this.#isDash(indent)) value = this.#sequence(indent, depth + 1);
        }
      } else value = this.#scalar(column, indent, depth + 1);
      this.#define(mapping, key, value);
    } while (this.#next() && this.#indent === indent);
    if (this.#indent > indent) throw notPlainYaml;
    return mapping;
  }

  #define(target: Record<string, unknown>, name: string, value: unknown): void {
    if (this.#strict && Object.hasOwn(target, name)) {
      throw new DecodeError('InvalidYaml', `yaml: unmarshal errors:\n  key ${JSON.stringify(name)} already set in map`);
    }
    defineOwn(target, name, value);
  }

  /** Where the colon behind the key that starts at `column` stands; -1 when there is no key. */
  #keyEnd(column: number): number {
    const line = this.#line;
    const first = line[column] as string;
    if (first === '"' || first === "'") {
      const end = closingQuote(line, column) + 1;
      if (end === 0) return -1;
      let colon = end;
      while (line[colon] === ' ') colon++;
      if (line[colon] !== ':') return -1;
      if (colon !== end || colon - column > longestKey || (colon + 1 < line.length && line[colon + 1] !== ' '))
        throw notPlainYaml;
      return colon;
    }
    if (first === '[' || first === '{' || first === '|' || first === '>') return -1;
    if (this.#isUnusual(column)) throw notPlainYaml;
    let colon = line.indexOf(': ', column);
    if (colon < 0) {
      if (!line.endsWith(':')) return -1;
      colon = line.length - 1;
    }
    const comment = line.indexOf(' #', column);
    if (comment >= 0 && comment < colon) return -1;
    if (colon - column > longestKey || line[colon - 1] === ' ') throw notPlainYaml;
    return colon;
  }

  /** No plain scalar begins like this. */
  #isUnusual(column: number): boolean {
    const first = this.#line[column] as string;
    return unusualFirst.has(first) || ('-?:'.includes(first) && (this.#line[column + 1] ?? ' ') === ' ');
  }

  #key(column: number, colon: number): string {
    const first = this.#line[column] as string;
    if (first === '"' || first === "'") return unquote(first, this.#line.slice(column + 1, colon - 1));
    const text = this.#line.slice(column, colon);
    if (text === '<<') throw notPlainYaml;
    return String(plainScalar(text));
  }

  /** A value that starts at `column` of the line at hand and belongs to a node at `indent`. */
  #scalar(column: number, indent: number, depth: number): unknown {
    const first = this.#line[column] as string;
    if (first === '|' || first === '>') return this.#blockScalar(column, indent);
    if (first === '"' || first === "'") return this.#quoted(column, indent);
    if (first === '[' || first === '{') {
      const flow = new FlowReader(this.#line, column, {
        maxDepth: this.#maxDepth,
        define: (target, name, one) => this.#define(target, name, one),
      });
      const value = flow.read(depth);
      this.#endOfLine(flow.at, indent);
      return value;
    }
    if (this.#isUnusual(column)) throw notPlainYaml;
    return this.#plain(column, indent);
  }

  /** After a value: nothing but a comment, and no deeper line below. */
  #endOfLine(column: number, indent: number): void {
    const rest = this.#line.slice(column);
    if (rest !== '' && !/^ +#/.test(rest)) throw notPlainYaml;
    this.#at++;
    if (this.#next() && this.#indent > indent) throw notPlainYaml;
  }

  #plain(column: number, indent: number): unknown {
    const line = this.#line;
    const comment = line.indexOf(' #', column);
    const text = comment < 0 ? line.slice(column) : withoutTrailingSpaces(line.slice(column, comment));
    if (text.includes(': ') || text.endsWith(':')) throw notPlainYaml;
    if (comment >= 0) {
      this.#endOfLine(comment, indent);
      return plainScalar(text);
    }
    this.#at++;
    const after = this.#at;
    if (!this.#next() || this.#indent <= indent) return plainScalar(text);
    this.#at = after;
    const lines = [text];
    for (; this.#at < this.#lines.length; this.#at++) {
      const more = this.#continuation(indent);
      if (more === undefined) break;
      if (/^#|^[-?:](?: |$)| #|: |:$/.test(more)) throw notPlainYaml;
      lines.push(more);
    }
    while (lines.at(-1) === '') lines.pop();
    return plainScalar(folded(lines));
  }

  /** The line at hand without its indentation when it goes on a scalar of a node at `indent`: blank, or deeper. */
  #continuation(indent: number): string | undefined {
    const line = this.#lines[this.#at] as string;
    let spaces = 0;
    while (line.charCodeAt(spaces) === 0x20) spaces++;
    if (spaces === line.length) return '';
    if (line.includes('\t')) throw notPlainYaml;
    return spaces > indent ? withoutTrailingSpaces(line.slice(spaces)) : undefined;
  }

  #quoted(column: number, indent: number): string {
    const quote = this.#line[column] as string;
    let end = closingQuote(this.#line, column);
    if (end >= 0) {
      const text = unquote(quote, this.#line.slice(column + 1, end));
      this.#endOfLine(end + 1, indent);
      return text;
    }
    const lines = [this.#line.slice(column + 1)];
    for (;;) {
      if (/\\$/.test(lines.at(-1) as string) || /^\\/.test(lines.at(-1) as string)) throw notPlainYaml;
      this.#at++;
      const more = this.#at < this.#lines.length ? this.#continuation(indent) : undefined;
      if (more === undefined) throw notPlainYaml;
      end = closingQuote(quote + more, 0);
      if (end >= 0) {
        lines.push(more.slice(0, end - 1));
        this.#line = more;
        break;
      }
      lines.push(more);
    }
    if (/^\\/.test(lines.at(-1) as string)) throw notPlainYaml;
    this.#endOfLine(end, indent);
    return unquote(quote, folded(lines));
  }

  #blockScalar(column: number, indent: number): string {
    const header = /^([|>])([+-]?)(?: +#.*)?$/.exec(this.#line.slice(column));
    if (header === null) throw notPlainYaml;
    const [, style, chomp] = header;
    const lines: string[] = [];
    let width = 0;
    for (this.#at++; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at] as string;
      let spaces = 0;
      while (line.charCodeAt(spaces) === 0x20) spaces++;
      if (spaces === line.length) {
        if (width === 0 && spaces > 0) throw notPlainYaml;
        lines.push(width > 0 ? line.slice(width) : '');
        continue;
      }
      if (width === 0 && spaces > indent) width = spaces;
      if (width === 0 || spaces < width) break;
      lines.push(line.slice(width));
    }
    if (width === 0 || (this.#at === this.#lines.length && (lines.at(-1) as string) !== '')) throw notPlainYaml;
    // The text's own last newline makes one empty line too many.
    if (this.#at === this.#lines.length) lines.pop();
    let kept = lines.length;
    while (kept > 0 && lines[kept - 1] === '') kept--;
    const end = chomp === '-' ? '' : chomp === '+' ? '\n'.repeat(lines.length - kept + 1) : '\n';
    const content = lines.slice(0, kept);
    if (style === '|') return content.join('\n') + end;
    if (content[0] === '' || content.some((line) => line.startsWith(' '))) throw notPlainYaml;
    return folded(content) + end;
  }
}

/** Lines of one scalar joined: by a space, or by as many newlines as there are blank lines between them. */
function folded(lines: readonly string[]): string {
  let text = lines[0] as string;
  let blank = 0;
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] as string;
    if (line === '' && i < lines.length - 1) {
      blank++;
      continue;
    }
    text += (blank === 0 ? ' ' : '\n'.repeat(blank)) + line;
    blank = 0;
  }
  return text;
}

function withoutTrailingSpaces(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0x20) end--;
  return end === text.length ? text : text.slice(0, end);
}
