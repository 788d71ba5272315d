import { type CallExpr, type Expr, type ListExpr, type MapExpr, qualifiedName, type StructExpr } from './ast.ts';
import type { Issue } from './errors.ts';
import type { Overload } from './function.ts';
import {
  boolType,
  type CelType,
  dynType,
  elementOf,
  errorType,
  intType,
  listOf,
  mapOf,
  optionalOf,
  plainTypes,
  stringType,
  Substitution,
  typeOfType,
  typeText,
} from './types.ts';

/** What a name in an expression can mean. */
export interface Declarations {
  variable(name: string): CelType | undefined;
  functions(name: string): readonly Overload[] | undefined;
  /** A message type by its full name: `Object.spec`. */
  struct(name: string): CelType | undefined;
}

/** A checked expression: types and meanings by the ids of its nodes. */
export interface Checked {
  readonly expr: Expr;
  readonly types: ReadonlyMap<number, CelType>;
  readonly overloads: ReadonlyMap<number, readonly Overload[]>;
  /** Calls of functions with a dotted name (`ip.isCanonical`): no target is evaluated. */
  readonly qualified: ReadonlyMap<number, string>;
  readonly resultType: CelType;
  /** Variables of the environment that it reads. */
  readonly references: ReadonlySet<string>;
}

const mostIssues = 100;

/** Finds the type of every node. Issues are collected; with any, the result must not be run. Depth was bounded by the parser. */
export function checkExpression(
  expr: Expr,
  declarations: Declarations,
): { checked: Checked; issues: readonly Issue[] } {
  const checker = new Checker(declarations);
  const resultType = checker.check(expr);
  return { checked: checker.finish(expr, resultType), issues: checker.issues };
}

class Checker {
  readonly issues: Issue[] = [];
  readonly #declarations: Declarations;
  readonly #types = new Map<number, CelType>();
  readonly #overloads = new Map<number, readonly Overload[]>();
  readonly #qualified = new Map<number, string>();
  readonly #references = new Set<string>();
  readonly #scopes: Map<string, CelType>[] = [];
  readonly #substitution = new Substitution();

  constructor(declarations: Declarations) {
    this.#declarations = declarations;
  }

  finish(expr: Expr, resultType: CelType): Checked {
    const types = new Map<number, CelType>();
    for (const [id, type] of this.#types) types.set(id, this.#substitution.resolve(type, false));
    return {
      expr,
      types,
      overloads: this.#overloads,
      qualified: this.#qualified,
      references: this.#references,
      resultType: this.#substitution.resolve(resultType, false),
    };
  }

  check(expr: Expr): CelType {
    const type = this.#typeOf(expr);
    this.#types.set(expr.id, type);
    return type;
  }

  #issue({ offset }: { readonly offset: number }, message: string): CelType {
    if (this.issues.length < mostIssues) this.issues.push({ offset, message });
    return errorType;
  }

  #undeclared(at: { readonly offset: number }, name: string): CelType {
    return this.#issue(at, `undeclared reference to '${name}' (in container '')`);
  }

  #local(name: string): CelType | undefined {
    for (let index = this.#scopes.length - 1; index >= 0; index--) {
      const found = (this.#scopes[index] as Map<string, CelType>).get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #name(name: string): CelType | undefined {
    const local = this.#local(name);
    if (local !== undefined) return local;
    const plain = name.startsWith('.') ? name.slice(1) : name;
    const declared = this.#declarations.variable(plain);
    if (declared !== undefined) {
      this.#references.add(plain);
      return declared;
    }
    const type = plainTypes.get(plain) ?? this.#declarations.struct(plain);
    return type === undefined ? undefined : typeOfType(type);
  }

  #typeOf(expr: Expr): CelType {
    switch (expr.kind) {
      case 'literal':
        return { kind: expr.type };
      case 'ident':
        return this.#name(expr.name) ?? this.#undeclared(expr, expr.name.replace(/^\./, ''));
      case 'select':
        return this.#select(expr);
      case 'call':
        return this.#call(expr);
      case 'list':
        return this.#list(expr);
      case 'map':
        return this.#map(expr);
      case 'struct':
        return this.#struct(expr);
      case 'comprehension':
        return this.#comprehension(expr);
    }
  }

  #select(expr: Extract<Expr, { kind: 'select' }>): CelType {
    const name = expr.testOnly ? undefined : qualifiedName(expr);
    if (name !== undefined) {
      const head = name.slice(0, name.indexOf('.'));
      const isVariable = this.#declarations.variable(name) !== undefined;
      if (this.#local(head) === undefined && (isVariable || this.#declarations.variable(head) === undefined)) {
        const type = this.#name(name);
        if (type !== undefined) {
          this.#qualified.set(expr.id, name);
          return type;
        }
      }
    }
    const operand = this.#substitution.resolve(this.check(expr.operand));
    const field = this.#field(operand, expr.field, expr);
    return expr.testOnly ? (field === errorType ? errorType : boolType) : field;
  }

  #field(operand: CelType, field: string, at: { readonly offset: number }): CelType {
    switch (operand.kind) {
      case 'dyn':
      case 'param':
        return dynType;
      case 'error':
        return errorType;
      case 'map':
        return this.#substitution.assignable(operand.parameters?.[0] ?? dynType, stringType)
          ? elementOf(operand)
          : this.#issue(at, `type '${typeText(operand)}' does not support field selection`);
      case 'object': {
        const found = operand.fields?.get(field);
        if (found !== undefined) return found.type;
        return operand.open === true ? dynType : this.#issue(at, `undefined field '${field}'`);
      }
      case 'opaque':
        if (operand.name === 'optional_type') {
          const inner = this.#field(this.#substitution.resolve(elementOf(operand)), field, at);
          return inner === errorType ? errorType : inner.name === 'optional_type' ? inner : optionalOf(inner);
        }
        break;
    }
    return this.#issue(at, `type '${typeText(operand)}' does not support field selection`);
  }

  #call(expr: CallExpr): CelType {
    const { target, args } = expr;
    if (expr.function === '_?._') return this.#optionalSelect(expr);
    if (target !== undefined) {
      const head = qualifiedName(target);
      const first = head?.split('.')[0];
      if (
        head !== undefined &&
        this.#local(first as string) === undefined &&
        this.#declarations.variable(first as string) === undefined
      ) {
        const name = `${head}.${expr.function}`;
        const functions = this.#declarations.functions(name);
        if (functions !== undefined) {
          this.#qualified.set(expr.id, name);
          return this.#resolve(
            expr,
            name,
            functions,
            false,
            args.map((one) => this.check(one)),
          );
        }
      }
    }
    const functions = this.#declarations.functions(expr.function);
    const types = (target === undefined ? args : [target, ...args]).map((one) => this.check(one));
    if (functions === undefined) return this.#undeclared(expr, expr.function);
    return this.#resolve(expr, expr.function, functions, target !== undefined, types);
  }

  #optionalSelect(expr: CallExpr): CelType {
    const [operand, name] = expr.args as [Expr, Expr];
    const type = this.#substitution.resolve(this.check(operand));
    this.check(name);
    const field = this.#field(type, (name as { value: string }).value, expr);
    if (field === errorType) return errorType;
    return field.kind === 'opaque' && field.name === 'optional_type' && type.name === 'optional_type'
      ? field
      : optionalOf(field);
  }

  #resolve(expr: CallExpr, name: string, functions: readonly Overload[], member: boolean, types: CelType[]): CelType {
    const matching: Overload[] = [];
    let result: CelType | undefined;
    for (const overload of functions) {
      if (overload.member !== member || overload.parameters.length !== types.length) continue;
      const mark = this.#substitution.size;
      const signature = this.#substitution.instantiate([...overload.parameters, overload.result]);
      const fits = types.every((type, index) => this.#substitution.assignable(signature[index] as CelType, type));
      if (!fits) {
        this.#substitution.restore(mark);
        continue;
      }
      matching.push(overload);
      const found = this.#substitution.resolve(signature.at(-1) as CelType);
      result = result === undefined || sameType(result, found) ? found : dynType;
    }
    if (matching.length === 0) {
      if (types.some((one) => this.#substitution.resolve(one).kind === 'error')) return errorType;
      const shown = types.map((one) => typeText(this.#substitution.resolve(one, false)));
      const applied = member ? `${shown[0]}.(${shown.slice(1).join(', ')})` : `(${shown.join(', ')})`;
      return this.#issue(expr, `found no matching overload for '${name}' applied to '${applied}'`);
    }
    this.#overloads.set(expr.id, matching);
    return result as CelType;
  }

  #list(expr: ListExpr): CelType {
    let element: CelType | undefined;
    expr.elements.forEach((one, index) => {
      element = this.#joined(element, this.#element(one, expr.optional.has(index)), one);
    });
    return listOf(element ?? this.#substitution.freshParam());
  }

  #map(expr: MapExpr): CelType {
    let keyType: CelType | undefined;
    let valueType: CelType | undefined;
    for (const { key, value, optional } of expr.entries) {
      keyType = this.#joined(keyType, this.#key(key), key);
      valueType = this.#joined(valueType, this.#element(value, optional), value);
    }
    return mapOf(keyType ?? this.#substitution.freshParam(), valueType ?? this.#substitution.freshParam());
  }

  /** Keys are scalars; types then grow by one part a level, however an expression nests. */
  #key(expr: Expr): CelType {
    const type = this.#substitution.resolve(this.check(expr));
    if (!['list', 'map', 'object'].includes(type.kind)) return type;
    return this.#issue(expr, `unsupported key type: ${type.kind}`);
  }

  /** The type of an entry; an optional one must be of an optional type. */
  #element(expr: Expr, optional: boolean): CelType {
    const type = this.check(expr);
    if (!optional) return type;
    const content = this.#substitution.freshParam();
    if (!this.#substitution.assignable(optionalOf(content), type)) {
      return this.#issue(
        expr,
        `expected type '${typeText(optionalOf(dynType))}' but found '${typeText(this.#substitution.resolve(type, false))}'`,
      );
    }
    return this.#substitution.resolve(type).kind === 'dyn' ? dynType : content;
  }

  /** Elements of a literal are of one type. */
  #joined(before: CelType | undefined, next: CelType, at: Expr): CelType {
    if (before === undefined) return next;
    const known = this.#substitution.resolve(before);
    const found = this.#substitution.resolve(next);
    if (known.kind === 'null_type' && this.#substitution.assignable(found, known)) return found;
    if (this.#substitution.assignable(known, found))
      return known.kind === 'dyn' ? known : found.kind === 'dyn' ? found : known;
    return this.#issue(
      at,
      `expected type '${typeText(this.#substitution.resolve(known, false))}' but found '${typeText(this.#substitution.resolve(found, false))}'`,
    );
  }

  #struct(expr: StructExpr): CelType {
    const type = this.#declarations.struct(expr.name);
    if (type === undefined) {
      for (const { value } of expr.fields) this.check(value);
      return this.#undeclared(expr, expr.name);
    }
    for (const { name, value, optional, offset } of expr.fields) {
      const found = this.#element(value, optional);
      const field = type.fields?.get(name);
      if (field === undefined) {
        if (type.open !== true) this.#issue({ offset }, `undefined field '${name}'`);
      } else if (!this.#substitution.assignable(field.type, found)) {
        this.#issue(
          { offset },
          `expected type of field '${name}' is '${typeText(field.type)}' but provided type is '${typeText(this.#substitution.resolve(found, false))}'`,
        );
      }
    }
    return type;
  }

  #comprehension(expr: Extract<Expr, { kind: 'comprehension' }>): CelType {
    const range = this.#substitution.resolve(this.check(expr.iterRange));
    const accumulated = this.check(expr.accuInit);
    let first: CelType = dynType;
    let second: CelType = dynType;
    switch (range.kind) {
      case 'list':
        first = expr.iterVar2 === undefined ? elementOf(range) : intType;
        second = elementOf(range);
        break;
      case 'map':
        [first = dynType, second = dynType] = range.parameters ?? [];
        break;
      case 'dyn':
      case 'error':
      case 'param':
        break;
      default:
        this.#issue(
          expr.iterRange,
          `expression of type '${typeText(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
        );
    }
    this.#scopes.push(new Map([[expr.accuVar, accumulated]]));
    this.#scopes.push(
      new Map([[expr.iterVar, first], ...(expr.iterVar2 === undefined ? [] : [[expr.iterVar2, second] as const])]),
    );
    this.#expect(boolType, expr.loopCondition);
    this.#expect(accumulated, expr.loopStep);
    this.#scopes.pop();
    const result = this.check(expr.result);
    this.#scopes.pop();
    return this.#substitution.resolve(result);
  }

  #expect(wanted: CelType, expr: Expr): void {
    const found = this.check(expr);
    if (this.#substitution.assignable(wanted, found)) return;
    this.#issue(
      expr,
      `expected type '${typeText(this.#substitution.resolve(wanted, false))}' but found '${typeText(this.#substitution.resolve(found, false))}'`,
    );
  }
}

function sameType(a: CelType, b: CelType): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || a.name !== b.name) return false;
  const left = a.parameters ?? [];
  const right = b.parameters ?? [];
  return left.length === right.length && left.every((one, index) => sameType(one, right[index] as CelType));
}
