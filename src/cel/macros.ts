import type { Expr } from './ast.ts';
import { sortByKeys } from './library/lists.ts';
import type { NodeMaker } from './parser.ts';

/** The variable in which a loop of a macro keeps its state: no expression can name it. */
export const accumulator = '@result';

interface MacroCall {
  readonly offset: number;
  readonly name: string;
  readonly args: readonly Expr[];
  readonly target: Expr | undefined;
}

/** What a macro's call stands for; undefined when the call is an ordinary one. `cel.bind` is a macro only with `bindings`. */
export function expandMacro(make: NodeMaker, call: MacroCall, bindings: boolean): Expr | undefined {
  const { name, args, target, offset } = call;
  if (target === undefined)
    return name === 'has' && args.length === 1 ? hasField(make, args[0] as Expr, offset) : undefined;
  if (bindings && name === 'bind' && args.length === 3 && target.kind === 'ident' && target.name === 'cel')
    return bind(make, call);
  switch (`${name}/${args.length}`) {
    case 'all/2':
    case 'all/3':
      return quantifier(make, call, true);
    case 'exists/2':
    case 'exists/3':
      return quantifier(make, call, false);
    case 'exists_one/2':
    case 'existsOne/2':
    case 'exists_one/3':
    case 'existsOne/3':
      return existsOne(make, call);
    case 'map/2':
    case 'map/3':
      return mapped(make, call, false);
    case 'transformList/3':
    case 'transformList/4':
      return mapped(make, call, true);
    case 'filter/2':
      return filtered(make, call);
    case 'transformMap/3':
    case 'transformMap/4':
    case 'transformMapEntry/3':
    case 'transformMapEntry/4':
      return transformMap(make, call);
    case 'sortBy/2':
      return sortBy(make, call);
    case 'optMap/2':
    case 'optFlatMap/2':
      return optionalMap(make, call);
    default:
      return undefined;
  }
}

function hasField(make: NodeMaker, field: Expr, offset: number): Expr {
  if (field.kind === 'select' && !field.testOnly)
    return { ...field, ...make.next(offset, field.operand), testOnly: true };
  if (field.kind === 'call' && field.function === '_?._') return make.member(offset, field, 'hasValue');
  return make.fail(field.offset, 'invalid argument to has() macro');
}

function variable(make: NodeMaker, expr: Expr, otherwise = 'argument must be a simple name'): string {
  if (expr.kind !== 'ident' || expr.name.startsWith('.')) return make.fail(expr.offset, otherwise);
  if (expr.name === accumulator || expr.name === '__result__')
    return make.fail(expr.offset, 'iteration variable overwrites accumulator variable');
  return expr.name;
}

const notIdentifier = 'argument is not an identifier';

interface Fold {
  readonly target: Expr;
  readonly iterVar: string;
  readonly iterVar2?: string | undefined;
  readonly init: Expr;
  readonly condition: Expr;
  readonly step: Expr;
  readonly result?: Expr;
}

function fold(make: NodeMaker, offset: number, parts: Fold): Expr {
  const result = parts.result ?? make.ident(offset, accumulator);
  return {
    ...make.next(offset, parts.target, parts.init, parts.condition, parts.step, result),
    kind: 'comprehension',
    iterVar: parts.iterVar,
    ...(parts.iterVar2 === undefined ? {} : { iterVar2: parts.iterVar2 }),
    iterRange: parts.target,
    accuVar: accumulator,
    accuInit: parts.init,
    loopCondition: parts.condition,
    loopStep: parts.step,
    result,
  };
}

/** The leading one or two variables of a macro, and the arguments after them. */
function variables(
  make: NodeMaker,
  args: readonly Expr[],
  two: boolean,
  otherwise?: string,
): { iterVar: string; iterVar2?: string; rest: readonly Expr[] } {
  const iterVar = variable(make, args[0] as Expr, otherwise);
  if (!two) return { iterVar, rest: args.slice(1) };
  const iterVar2 = variable(make, args[1] as Expr);
  if (iterVar === iterVar2) return make.fail((args[1] as Expr).offset, `duplicate variable name: ${iterVar}`);
  return { iterVar, iterVar2, rest: args.slice(2) };
}

function quantifier(make: NodeMaker, { args, target, offset }: MacroCall, all: boolean): Expr {
  const { rest, ...names } = variables(make, args, args.length === 3);
  const state = (): Expr => make.ident(offset, accumulator);
  return fold(make, offset, {
    ...names,
    target: target as Expr,
    init: make.literal(offset, 'bool', all),
    condition: make.call(offset, '@not_strictly_false', all ? state() : make.call(offset, '!_', state())),
    step: make.call(offset, all ? '_&&_' : '_||_', state(), rest[0] as Expr),
  });
}

function existsOne(make: NodeMaker, { args, target, offset }: MacroCall): Expr {
  const { rest, ...names } = variables(make, args, args.length === 3);
  const state = (): Expr => make.ident(offset, accumulator);
  const one = (): Expr => make.literal(offset, 'int', 1n);
  return fold(make, offset, {
    ...names,
    target: target as Expr,
    init: make.literal(offset, 'int', 0n),
    condition: make.literal(offset, 'bool', true),
    step: make.call(offset, '_?_:_', rest[0] as Expr, make.call(offset, '_+_', state(), one()), state()),
    result: make.call(offset, '_==_', state(), one()),
  });
}

function mapped(make: NodeMaker, { args, target, offset }: MacroCall, two: boolean): Expr {
  const { rest, ...names } = variables(make, args, two, notIdentifier);
  const state = (): Expr => make.ident(offset, accumulator);
  const value = rest.at(-1) as Expr;
  const append = make.call(offset, '_+_', state(), make.list(offset, value));
  return fold(make, offset, {
    ...names,
    target: target as Expr,
    init: make.list(offset),
    condition: make.literal(offset, 'bool', true),
    step: rest.length === 1 ? append : make.call(offset, '_?_:_', rest[0] as Expr, append, state()),
  });
}

function filtered(make: NodeMaker, { args, target, offset }: MacroCall): Expr {
  const { iterVar, rest } = variables(make, args, false, notIdentifier);
  const state = (): Expr => make.ident(offset, accumulator);
  const append = make.call(offset, '_+_', state(), make.list(offset, make.ident(offset, iterVar)));
  return fold(make, offset, {
    iterVar,
    target: target as Expr,
    init: make.list(offset),
    condition: make.literal(offset, 'bool', true),
    step: make.call(offset, '_?_:_', rest[0] as Expr, append, state()),
  });
}

function transformMap(make: NodeMaker, { args, target, offset, name }: MacroCall): Expr {
  const { rest, ...names } = variables(make, args, true);
  const state = (): Expr => make.ident(offset, accumulator);
  const value = rest.at(-1) as Expr;
  const insert =
    name === 'transformMap'
      ? make.call(offset, 'cel.@mapInsert', state(), make.ident(offset, names.iterVar), value)
      : make.call(offset, 'cel.@mapInsert', state(), value);
  return fold(make, offset, {
    ...names,
    target: target as Expr,
    init: { ...make.next(offset), kind: 'map', entries: [] },
    condition: make.literal(offset, 'bool', true),
    step: rest.length === 1 ? insert : make.call(offset, '_?_:_', rest[0] as Expr, insert, state()),
  });
}

function bindOf(make: NodeMaker, offset: number, name: string, init: Expr, body: Expr): Expr {
  const step = make.ident(offset, name);
  const range = make.list(offset);
  const condition = make.literal(offset, 'bool', false);
  return {
    ...make.next(offset, range, init, condition, step, body),
    kind: 'comprehension',
    iterVar: '#unused',
    iterRange: range,
    accuVar: name,
    accuInit: init,
    loopCondition: condition,
    loopStep: step,
    result: body,
  };
}

function bind(make: NodeMaker, { args, offset }: MacroCall): Expr {
  return bindOf(make, offset, variable(make, args[0] as Expr), args[1] as Expr, args[2] as Expr);
}

/** `list.sortBy(v, key)`: the list is evaluated once, bound to a name of its own. */
function sortBy(make: NodeMaker, call: MacroCall): Expr {
  const { target, offset } = call;
  if (target?.kind === 'literal' || target?.kind === 'map' || target?.kind === 'struct')
    return make.fail(
      target.offset,
      'sortBy can only be applied to a list, identifier, comprehension, call or select expression',
    );
  const held = '@__sortBy_input__';
  const it = (): Expr => make.ident(offset, held);
  const keys = mapped(make, { ...call, target: it() }, false);
  return bindOf(make, offset, held, target as Expr, make.member(offset, it(), sortByKeys, keys));
}

/** `x.optMap(v, e)`: `x` is written once and evaluated once, bound to a name of its own. */
function optionalMap(make: NodeMaker, { args, target, offset, name }: MacroCall): Expr {
  const variableName = variable(make, args[0] as Expr);
  const held = '@target';
  const it = (): Expr => make.ident(offset, held);
  const body = bindOf(make, offset, variableName, make.member(offset, it(), 'value'), args[1] as Expr);
  const yes = name === 'optMap' ? make.call(offset, 'optional.of', body) : body;
  const choice = make.call(
    offset,
    '_?_:_',
    make.member(offset, it(), 'hasValue'),
    yes,
    make.call(offset, 'optional.none'),
  );
  return bindOf(make, offset, held, target as Expr, choice);
}
