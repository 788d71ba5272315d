import { closingQuote, notPlainYaml, unquote } from './yaml-quoted.ts';
import { plainScalar } from './yaml-scalar.ts';

const forbiddenFirst = new Set([...'&*!|>%@`#,']);

/** A flow collection (`[a, "b"]`, `{c: d}`) that lies in one line. What is unusual in it throws `notPlainYaml`. */
export class FlowReader {
  readonly #line: string;
  readonly #maxDepth: number;
  readonly #define: (target: Record<string, unknown>, name: string, value: unknown) => void;
  at: number;

  constructor(
    line: string,
    at: number,
    options: {
      readonly maxDepth: number;
      readonly define: (target: Record<string, unknown>, name: string, value: unknown) => void;
    },
  ) {
    this.#line = line;
    this.at = at;
    this.#maxDepth = options.maxDepth;
    this.#define = options.define;
  }

  read(depth: number): unknown {
    if (depth > this.#maxDepth) throw notPlainYaml;
    const first = this.#peek();
    if (first === '[') return this.#list(depth);
    if (first === '{') return this.#mapping(depth);
    return this.#scalar();
  }

  #peek(): string | undefined {
    while (this.#line[this.at] === ' ') this.at++;
    return this.#line[this.at];
  }

  #list(depth: number): unknown[] {
    const items: unknown[] = [];
    this.at++;
    if (this.#peek() === ']') {
      this.at++;
      return items;
    }
    for (;;) {
      items.push(this.read(depth + 1));
      const next = this.#peek();
      this.at++;
      if (next === ']') return items;
      if (next !== ',' || this.#peek() === ']') throw notPlainYaml;
    }
  }

  #mapping(depth: number): Record<string, unknown> {
    const mapping: Record<string, unknown> = {};
    this.at++;
    if (this.#peek() === '}') {
      this.at++;
      return mapping;
    }
    for (;;) {
      const key = this.#scalar();
      if (key === '<<' || this.#peek() !== ':' || this.#line[this.at + 1] !== ' ') throw notPlainYaml;
      this.at++;
      this.#define(mapping, String(key), this.read(depth + 1));
      const next = this.#peek();
      this.at++;
      if (next === '}') return mapping;
      if (next !== ',' || this.#peek() === '}') throw notPlainYaml;
    }
  }

  #scalar(): unknown {
    const line = this.#line;
    const first = this.#peek();
    if (first === undefined || forbiddenFirst.has(first)) throw notPlainYaml;
    if (first === '"' || first === "'") {
      const end = closingQuote(line, this.at);
      if (end < 0) throw notPlainYaml;
      const text = unquote(first, line.slice(this.at + 1, end));
      this.at = end + 1;
      return text;
    }
    const start = this.at;
    while (this.at < line.length && !',[]{}'.includes(line[this.at] as string)) {
      const char = line[this.at];
      const next = line[this.at + 1];
      if (char === ':' && (next === ' ' || next === undefined || ',[]{}'.includes(next))) break;
      if (char === '#' && line[this.at - 1] === ' ') throw notPlainYaml;
      this.at++;
    }
    let end = this.at;
    while (line[end - 1] === ' ' && end > start) end--;
    const text = line.slice(start, end);
    if (text === '' || text === '-' || text.startsWith('- ') || text.startsWith('?') || text.startsWith(':'))
      throw notPlainYaml;
    return plainScalar(text);
  }
}
