import { type CallExpr, childrenOf, type Expr } from './ast.ts';
import { type Checked, checkExpression, type Declarations } from './checker.ts';
import { estimateCost, type Range } from './cost-estimate.ts';
import { CelError, CompileError, type Issue } from './errors.ts';
import { type Activation, type Outcome, planExpression } from './evaluate.ts';
import type { Overload } from './function.ts';
import { authorizerFunctions } from './library/authorizer.ts';
import { listFunctions, mapFunctions, regexFunctions, setFunctions } from './library/collections.ts';
import { clauseError, clausesOf, clauseTypeError } from './library/format-clauses.ts';
import { formatFunctions } from './library/formats.ts';
import { listExtensions } from './library/lists.ts';
import { networkFunctions, urlFunctions } from './library/network.ts';
import { quantityFunctions } from './library/quantities.ts';
import { stringFunctions } from './library/strings.ts';
import { semverFunctions } from './library/versions.ts';
import { parseExpression } from './parser.ts';
import { matcherOf } from './pattern.ts';
import { parseTimestamp, standardFunctions } from './standard.ts';
import { parseDurationNs } from './time.ts';
import { type CelType, typeText } from './types.ts';

/** What one evaluation may cost, as upstream. */
export const perCallLimit = 1_000_000;

let library: ReadonlyMap<string, readonly Overload[]> | undefined;

/** The language with Kubernetes' libraries: made once, at the first expression. */
function functions(): ReadonlyMap<string, readonly Overload[]> {
  if (library !== undefined) return library;
  const byName = new Map<string, Overload[]>();
  const all = [
    standardFunctions(),
    stringFunctions(),
    listFunctions(),
    listExtensions(),
    setFunctions(),
    regexFunctions(),
    mapFunctions(),
    networkFunctions(),
    urlFunctions(),
    quantityFunctions(),
    formatFunctions(),
    semverFunctions(),
    authorizerFunctions(),
  ];
  for (const one of all.flat()) {
    const known = byName.get(one.function);
    if (known === undefined) byName.set(one.function, [one]);
    else known.push(one);
  }
  library = byName;
  return byName;
}

export interface EnvironmentOptions {
  /** The variables that expressions may read. */
  readonly variables: Readonly<Record<string, CelType>>;
  /** Message types that they may make, by full name. */
  readonly struct?: (name: string) => CelType | undefined;
  /** Functions beyond the libraries. */
  readonly functions?: readonly Overload[];
  /** Whether `cel.bind(name, value, expression)` is there: upstream has it for device selectors alone. */
  readonly bindings?: boolean;
}

/** An expression that compiled. */
export interface Program {
  readonly source: string;
  readonly resultType: CelType;
  /** What it costs at least and at most, as far as types tell; Infinity: without bound. */
  readonly estimatedCost: () => Range;
  /** Variables that it reads. */
  readonly references: ReadonlySet<string>;
  /** Errors are in the outcome. The default limit is upstream's of one call. */
  run(activation: Activation, limit?: number): Outcome;
}

/** A set of variables with which expressions are compiled. */
export class Environment implements Declarations {
  readonly #variables: ReadonlyMap<string, CelType>;
  readonly #struct: (name: string) => CelType | undefined;
  readonly #more = new Map<string, Overload[]>();
  readonly #bindings: boolean;

  constructor(options: EnvironmentOptions) {
    this.#variables = new Map(Object.entries(options.variables));
    this.#struct = options.struct ?? (() => undefined);
    this.#bindings = options.bindings === true;
    for (const one of options.functions ?? []) {
      const list = this.#more.get(one.function) ?? [...(functions().get(one.function) ?? [])];
      list.push(one);
      this.#more.set(one.function, list);
    }
  }

  variable(name: string): CelType | undefined {
    return this.#variables.get(name);
  }

  functions(name: string): readonly Overload[] | undefined {
    return this.#more.get(name) ?? functions().get(name);
  }

  struct(name: string): CelType | undefined {
    return this.#struct(name);
  }

  /** Parses, checks and plans. Throws CompileError with all that is wrong. */
  compile(source: string): Program {
    const expr = parseExpression(source, this.#bindings);
    const { checked, issues } = checkExpression(expr, this);
    const found = [...(issues.length > 0 ? issues : literalIssues(checked))].sort((a, b) => a.offset - b.offset);
    if (found.length > 0) throw new CompileError(source, found);
    const run = planExpression(checked, this);
    return {
      source,
      resultType: checked.resultType,
      references: checked.references,
      estimatedCost: () => estimateCost(checked, (name) => this.variable(name)),
      run: (activation, limit = perCallLimit) => run(activation, limit),
    };
  }
}

/** Literals that can never be what they are for: patterns, times, durations. */
function literalIssues(checked: Checked): Issue[] {
  const issues: Issue[] = [];
  const pending: Expr[] = [checked.expr];
  for (let expr = pending.pop(); expr !== undefined; expr = pending.pop()) {
    pending.push(...childrenOf(expr));
    if (expr.kind !== 'call') continue;
    if (expr.function === 'format') issues.push(...formatIssues(expr, checked));
    const argument = expr.args.at(-1);
    if (argument?.kind !== 'literal' || typeof argument.value !== 'string') continue;
    const test = literalTests.get(expr.function);
    if (test === undefined) continue;
    try {
      test(argument.value);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      issues.push({ offset: argument.offset, message: `invalid ${expr.function} argument` });
    }
  }
  return issues;
}

/** A format text that is written down is held against the types of its values. */
function formatIssues({ target, args: [values], offset }: CallExpr, checked: Checked): Issue[] {
  if (target?.kind !== 'literal' || typeof target.value !== 'string' || values?.kind !== 'list') return [];
  let next = 0;
  for (const clause of clausesOf(target.value)) {
    if (clause.verb === '%') continue;
    const wrong = clauseError(clause);
    if (wrong !== undefined) return [{ offset, message: wrong }];
    const value = values.elements[next];
    if (value === undefined) return [{ offset, message: `index ${next} out of range` }];
    next++;
    const type = checked.types.get(value.id);
    if (type === undefined || type.kind === 'dyn' || type.kind === 'error') continue;
    const message = clauseTypeError(
      clause,
      typeText(type)
        .replace(/\(.*$/, '')
        .replace(/^null$/, 'null_type'),
    );
    if (message !== undefined) return [{ offset: value.offset, message }];
  }
  return [];
}

const literalTests: ReadonlyMap<string, (text: string) => unknown> = new Map<string, (text: string) => unknown>([
  ['matches', matcherOf],
  ['timestamp', parseTimestamp],
  ['duration', parseDurationNs],
]);
