import type { CallExpr, Expr, LiteralExpr, MapEntry } from './ast.ts';
import { CompileError, type Issue } from './errors.ts';
import { LexError, reserved, type Token, tokensOf } from './lexer.ts';
import { expandMacro } from './macros.ts';

/** How deep an expression may nest, and how long it may be, in code units. */
const deepest = 250;
const deepestTree = 1000;
const longest = 100_000;

const precedences: ReadonlyMap<string, readonly [level: number, name: string]> = new Map([
  ['||', [1, '_||_']],
  ['&&', [2, '_&&_']],
  ['==', [3, '_==_']],
  ['!=', [3, '_!=_']],
  ['<', [3, '_<_']],
  ['<=', [3, '_<=_']],
  ['>', [3, '_>_']],
  ['>=', [3, '_>=_']],
  ['in', [3, '@in']],
  ['+', [4, '_+_']],
  ['-', [4, '_-_']],
  ['*', [5, '_*_']],
  ['/', [5, '_/_']],
  ['%', [5, '_%_']],
]);

const expected =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

const expectedInMap = expected.replace("'{', '('", "'{', '}', '('").replace("'.', '-', '!'", "'.', ',', '-', '!', '?'");
const expectedInList = expected
  .replace("'[', '{'", "'[', ']', '{'")
  .replace("'.', '-', '!'", "'.', ',', '-', '!', '?'");

/** Parses an expression with its macros expanded, `cel.bind` only where it is there. Throws CompileError. Depth and length are bounded. */
export function parseExpression(source: string, bindings = false): Expr {
  if (source.length > longest)
    throw new CompileError('', [
      { offset: 0, message: `expression code point size exceeds limit: size: ${source.length}, limit ${longest}` },
    ]);
  try {
    return new Parser(tokensOf(source), bindings).whole();
  } catch (error) {
    if (error instanceof LexError) throw new CompileError(source, [error.issue]);
    throw error;
  }
}

/** Makes nodes with their ids and depths; macros use it too. */
export class NodeMaker {
  #last = 0;

  next(offset: number, ...children: readonly Expr[]): { id: number; offset: number; depth: number } {
    let depth = 0;
    for (const one of children) if (one.depth > depth) depth = one.depth;
    if (depth >= deepestTree) throw new LexError(offset, `expression recursion limit exceeded: ${deepest}`);
    return { id: ++this.#last, offset, depth: depth + 1 };
  }

  literal(offset: number, type: LiteralExpr['type'], value: LiteralExpr['value']): LiteralExpr {
    return { ...this.next(offset), kind: 'literal', type, value };
  }

  ident(offset: number, name: string): Expr {
    return { ...this.next(offset), kind: 'ident', name };
  }

  call(offset: number, name: string, ...args: Expr[]): CallExpr {
    return { ...this.next(offset, ...args), kind: 'call', function: name, args };
  }

  member(offset: number, target: Expr, name: string, ...args: Expr[]): CallExpr {
    return { ...this.next(offset, target, ...args), kind: 'call', function: name, target, args };
  }

  list(offset: number, ...elements: Expr[]): Expr {
    return { ...this.next(offset, ...elements), kind: 'list', elements, optional: new Set() };
  }

  fail(offset: number, message: string): never {
    throw new LexError(offset, message);
  }
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #bindings: boolean;
  readonly #make = new NodeMaker();
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], bindings: boolean) {
    this.#tokens = tokens;
    this.#bindings = bindings;
  }

  whole(): Expr {
    const expr = this.#conditional();
    const { kind, text, offset } = this.#token;
    if (kind !== 'end') {
      // One token too many is extraneous; with more of them the input does not match.
      const word = this.#tokens[this.#at + 1]?.kind === 'end' ? 'extraneous' : 'mismatched';
      throw new LexError(offset, `Syntax error: ${word} input '${text}' expecting <EOF>`);
    }
    return expr;
  }

  get #token(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #is(text: string): boolean {
    const { kind, text: found } = this.#token;
    return found === text && (kind === 'operator' || kind === 'keyword');
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at++;
    return true;
  }

  #need(text: string): void {
    if (this.#take(text)) return;
    const { text: found, offset } = this.#token;
    throw new LexError(offset, `Syntax error: mismatched input '${found}' expecting '${text}'`);
  }

  #conditional(): Expr {
    if (++this.#depth > deepest)
      throw new LexError(this.#token.offset, `expression recursion limit exceeded: ${deepest}`);
    const condition = this.#binary(1);
    let result = condition;
    if (this.#is('?')) {
      const { offset } = this.#token;
      this.#at++;
      const yes = this.#binary(1);
      this.#need(':');
      const no = this.#conditional();
      result = this.#make.call(offset, '_?_:_', condition, yes, no);
    }
    this.#depth--;
    return result;
  }

  #binary(level: number): Expr {
    let left = this.#unary();
    while (true) {
      const { kind, text, offset } = this.#token;
      const operator = kind === 'operator' || text === 'in' ? precedences.get(text) : undefined;
      if (operator === undefined || operator[0] < level) return left;
      const [precedence, name] = operator;
      if (precedence <= 2) {
        left = this.#logical(left, text, precedence, name);
        continue;
      }
      this.#at++;
      const right = this.#binary(precedence + 1);
      left = this.#make.call(offset, name, left, right);
    }
  }

  /** A chain of the same logical operator becomes a balanced tree, however long it is. */
  #logical(first: Expr, text: string, level: number, name: string): Expr {
    const terms = [first];
    const offsets: number[] = [];
    while (this.#is(text)) {
      offsets.push(this.#token.offset);
      this.#at++;
      terms.push(this.#binary(level + 1));
    }
    const build = (low: number, high: number): Expr => {
      if (low === high) return terms[low] as Expr;
      const middle = (low + high) >> 1;
      return this.#make.call(offsets[middle] as number, name, build(low, middle), build(middle + 1, high));
    };
    return build(0, terms.length - 1);
  }

  #unary(): Expr {
    const { offset } = this.#token;
    const sign = this.#is('!') ? '!' : this.#is('-') ? '-' : undefined;
    if (sign === undefined) return this.#postfix();
    let count = 0;
    while (this.#take(sign)) count++;
    const next = this.#token;
    if (sign === '-' && count % 2 === 1 && (next.kind === 'int' || next.kind === 'double')) {
      this.#at++;
      const negative = next.kind === 'int' ? -(next.value as bigint) : -(next.value as number);
      return this.#postfix(this.#number(next, negative, offset));
    }
    const operand = this.#postfix();
    return count % 2 === 0 ? operand : this.#make.call(offset, sign === '!' ? '!_' : '-_', operand);
  }

  #postfix(start?: Expr): Expr {
    let expr = start ?? this.#primary();
    while (true) {
      const { offset } = this.#token;
      if (this.#take('.')) {
        const optional = this.#take('?');
        const field = this.#fieldName();
        if (optional) {
          expr = this.#make.call(offset, '_?._', expr, this.#make.literal(field.offset, 'string', field.text));
        } else if (field.kind === 'ident' && this.#is('(')) {
          const open = this.#token.offset;
          expr = this.#callOf(open, field.text, this.#arguments(')'), expr);
        } else {
          expr = {
            ...this.#make.next(offset, expr),
            kind: 'select',
            operand: expr,
            field: field.text,
            testOnly: false,
          };
        }
      } else if (this.#take('[')) {
        const optional = this.#take('?');
        const index = this.#conditional();
        this.#need(']');
        expr = this.#make.call(offset, optional ? '_[?_]' : '_[_]', expr, index);
      } else if (this.#is('{') && (expr.kind === 'ident' || expr.kind === 'select')) {
        const name = structName(expr);
        if (name === undefined) return expr;
        expr = this.#struct(name, expr);
      } else return expr;
    }
  }

  #fieldName(): Token {
    const token = this.#token;
    if (token.kind !== 'ident' && token.kind !== 'quoted') {
      if (token.kind === 'keyword')
        throw new LexError(token.offset, `Syntax error: mismatched input '${token.text}' expecting IDENTIFIER`);
      throw new LexError(
        token.offset,
        `Syntax error: no viable alternative at input '.${token.kind === 'end' ? '' : token.text}'`,
      );
    }
    this.#at++;
    return token;
  }

  #primary(): Expr {
    const token = this.#token;
    const { kind, text, offset, value } = token;
    this.#at++;
    switch (kind) {
      case 'int':
      case 'uint':
      case 'double':
        return this.#number(token, value as bigint | number, offset);
      case 'string':
        return this.#make.literal(offset, 'string', value as string);
      case 'bytes':
        return this.#make.literal(offset, 'bytes', value as Uint8Array);
      case 'ident': {
        if (this.#is('(')) {
          const open = this.#token.offset;
          return this.#callOf(open, text, this.#arguments(')'));
        }
        if (reserved.has(text)) throw new LexError(offset, `reserved identifier: ${text}`);
        return this.#make.ident(offset, text);
      }
      case 'keyword':
        if (text === 'true' || text === 'false') return this.#make.literal(offset, 'bool', text === 'true');
        if (text === 'null') return this.#make.literal(offset, 'null_type', null);
        break;
      case 'operator':
        if (text === '(') {
          const inner = this.#conditional();
          this.#need(')');
          return inner;
        }
        if (text === '[') return this.#listFrom(offset);
        if (text === '{') return this.#mapFrom(offset);
        if (text === '.') {
          const name = this.#fieldName();
          if (this.#is('(')) {
            const open = this.#token.offset;
            return this.#callOf(open, name.text, this.#arguments(')'));
          }
          return this.#make.ident(offset, `.${name.text}`);
        }
        break;
    }
    this.#at--;
    const before = this.#tokens[this.#at - 1]?.text;
    const wanted = before === '{' ? expectedInMap : before === '[' ? expectedInList : expected;
    throw new LexError(offset, `Syntax error: mismatched input '${text}' expecting ${wanted}`);
  }

  #number({ kind }: Token, value: bigint | number, offset: number): Expr {
    if (typeof value === 'bigint') {
      const fits = kind === 'uint' ? value < 2n ** 64n : value < 2n ** 63n && value >= -(2n ** 63n);
      if (!fits) throw new LexError(offset, `invalid ${kind} literal`);
    } else if (!Number.isFinite(value)) throw new LexError(offset, 'invalid double literal');
    return this.#make.literal(offset, kind as 'int', value);
  }

  #arguments(close: string): Expr[] {
    this.#need('(');
    const args: Expr[] = [];
    while (!this.#is(close)) {
      args.push(this.#conditional());
      if (!this.#take(',')) break;
      if (this.#is(close))
        throw new LexError(this.#token.offset, `Syntax error: mismatched input '${close}' expecting ${expected}`);
    }
    this.#need(close);
    return args;
  }

  #callOf(offset: number, name: string, args: Expr[], target?: Expr): Expr {
    return (
      expandMacro(this.#make, { offset, name, args, target }, this.#bindings) ??
      (target === undefined ? this.#make.call(offset, name, ...args) : this.#make.member(offset, target, name, ...args))
    );
  }

  #listFrom(offset: number): Expr {
    const elements: Expr[] = [];
    const optional = new Set<number>();
    while (!this.#is(']')) {
      if (this.#take('?')) optional.add(elements.length);
      elements.push(this.#conditional());
      if (!this.#take(',')) break;
    }
    this.#need(']');
    return { ...this.#make.next(offset, ...elements), kind: 'list', elements, optional };
  }

  #mapFrom(offset: number): Expr {
    const entries: MapEntry[] = [];
    while (!this.#is('}')) {
      const optional = this.#take('?');
      const key = this.#conditional();
      this.#need(':');
      entries.push({ key, value: this.#conditional(), optional });
      if (!this.#take(',')) break;
    }
    this.#need('}');
    return { ...this.#make.next(offset, ...entries.flatMap(({ key, value }) => [key, value])), kind: 'map', entries };
  }

  #struct(name: string, named: Expr): Expr {
    const { offset } = this.#token;
    this.#need('{');
    const fields: { name: string; offset: number; value: Expr; optional: boolean }[] = [];
    while (!this.#is('}')) {
      const optional = this.#take('?');
      const field = this.#fieldName();
      this.#need(':');
      fields.push({ name: field.text, offset: field.offset, value: this.#conditional(), optional });
      if (!this.#take(',')) break;
    }
    this.#need('}');
    return { ...this.#make.next(offset, named, ...fields.map(({ value }) => value)), kind: 'struct', name, fields };
  }
}

function structName(expr: Expr): string | undefined {
  if (expr.kind === 'ident') return expr.name;
  if (expr.kind !== 'select' || expr.testOnly) return undefined;
  const head = structName(expr.operand);
  return head === undefined ? undefined : `${head}.${expr.field}`;
}

export type { Issue };
