/** What an expression is after parsing and macro expansion. `id` is unique within one expression; `offset` is its place in the source. */
export type Expr =
  | LiteralExpr
  | IdentExpr
  | SelectExpr
  | CallExpr
  | ListExpr
  | MapExpr
  | StructExpr
  | ComprehensionExpr;

interface Node {
  readonly id: number;
  readonly offset: number;
  /** Levels below this one: the deepest walk over it. */
  readonly depth: number;
}

export type LiteralType = 'int' | 'uint' | 'double' | 'bool' | 'string' | 'bytes' | 'null_type';

export interface LiteralExpr extends Node {
  readonly kind: 'literal';
  readonly type: LiteralType;
  /** bigint (also of an unsigned one), number, boolean, string, Uint8Array, null. */
  readonly value: bigint | number | boolean | string | Uint8Array | null;
}

export interface IdentExpr extends Node {
  readonly kind: 'ident';
  readonly name: string;
}

export interface SelectExpr extends Node {
  readonly kind: 'select';
  readonly operand: Expr;
  readonly field: string;
  /** `has(operand.field)` */
  readonly testOnly: boolean;
}

export interface CallExpr extends Node {
  readonly kind: 'call';
  readonly function: string;
  readonly target?: Expr;
  readonly args: readonly Expr[];
}

export interface ListExpr extends Node {
  readonly kind: 'list';
  readonly elements: readonly Expr[];
  /** Elements written `?x`: left out when they have no value. */
  readonly optional: ReadonlySet<number>;
}

export interface MapExpr extends Node {
  readonly kind: 'map';
  readonly entries: readonly MapEntry[];
}

export interface MapEntry {
  readonly key: Expr;
  readonly value: Expr;
  readonly optional: boolean;
}

export interface StructExpr extends Node {
  readonly kind: 'struct';
  readonly name: string;
  readonly fields: readonly {
    readonly name: string;
    readonly offset: number;
    readonly value: Expr;
    readonly optional: boolean;
  }[];
}

/** The one loop of the language: folds `iterRange` into `accuVar`. */
export interface ComprehensionExpr extends Node {
  readonly kind: 'comprehension';
  readonly iterVar: string;
  readonly iterVar2?: string;
  readonly iterRange: Expr;
  readonly accuVar: string;
  readonly accuInit: Expr;
  readonly loopCondition: Expr;
  readonly loopStep: Expr;
  readonly result: Expr;
}

/** The children of an expression, in the order of evaluation. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'literal':
    case 'ident':
      return [];
    case 'select':
      return [expr.operand];
    case 'call':
      return expr.target === undefined ? expr.args : [expr.target, ...expr.args];
    case 'list':
      return expr.elements;
    case 'map':
      return expr.entries.flatMap(({ key, value }) => [key, value]);
    case 'struct':
      return expr.fields.map(({ value }) => value);
    case 'comprehension':
      return [expr.iterRange, expr.accuInit, expr.loopCondition, expr.loopStep, expr.result];
  }
}

/** `a.b.c` as text when the expression is nothing but names; undefined otherwise. */
export function qualifiedName(expr: Expr): string | undefined {
  if (expr.kind === 'ident') return expr.name;
  if (expr.kind !== 'select' || expr.testOnly) return undefined;
  const head = qualifiedName(expr.operand);
  return head === undefined ? undefined : `${head}.${expr.field}`;
}
