import type { CallExpr, Expr } from './ast.ts';
import type { Checked, Declarations } from './checker.ts';
import { runtimeCost } from './cost-runtime.ts';
import { CelError, CostExceeded } from './errors.ts';
import type { CallContext, Overload } from './function.ts';
import { accumulator } from './macros.ts';
import { ArrayList, CelList, CelMap, EntryMap, Optional, TypeValue, typeNameOf, Uint, type Value } from './values.ts';

/** The variables of one evaluation; asked for only when the expression reads them. */
export interface Activation {
  get(name: string): Value | undefined;
}

/** The state of one run. */
class Frame implements CallContext {
  readonly slots: Value[] = [];
  readonly activation: Activation;
  readonly limit: number;
  cost = 0;

  constructor(activation: Activation, limit: number) {
    this.activation = activation;
    this.limit = limit;
  }

  charge(cost: number): void {
    this.cost += cost;
    if (this.cost > this.limit) throw new CostExceeded();
  }
}

type Step = (frame: Frame) => Value;

/** What an absorbed error costs: it is dearer to make than most values. */
const errorCost = 5;

export interface Outcome {
  /** What the run has cost, also when it failed. */
  readonly cost: number;
  readonly value?: Value;
  readonly error?: CelError | CostExceeded;
}

/** Turns a checked expression into something that runs. Never throws what an expression can cause: errors are in the outcome. */
export function planExpression(
  checked: Checked,
  declarations: Declarations,
): (activation: Activation, limit: number) => Outcome {
  const step = new Planner(checked, declarations).plan(checked.expr);
  return (activation, limit) => {
    const frame = new Frame(activation, limit);
    try {
      return { value: step(frame), cost: Math.floor(frame.cost) };
    } catch (error) {
      if (error instanceof CelError || error instanceof CostExceeded) return { error, cost: Math.floor(frame.cost) };
      // An argument behind dyn that is not of the type of its overload.
      if (error instanceof TypeError) return { error: new CelError('no such overload'), cost: Math.floor(frame.cost) };
      // The engine's own limits on strings and stacks.
      if (error instanceof RangeError)
        return { error: new CelError(`evaluation failed: ${error.message}`), cost: Math.floor(frame.cost) };
      throw error;
    }
  };
}

class Planner {
  readonly #checked: Checked;
  readonly #declarations: Declarations;
  /** Where loop variables live in a frame. */
  readonly #scopes: Map<string, number>[] = [];
  #slots = 0;

  constructor(checked: Checked, declarations: Declarations) {
    this.#checked = checked;
    this.#declarations = declarations;
  }

  plan(expr: Expr): Step {
    switch (expr.kind) {
      case 'literal': {
        const value = (expr.type === 'uint' ? new Uint(expr.value as bigint) : expr.value) as Value;
        return () => value;
      }
      case 'ident':
        return this.#ident(expr.name);
      case 'select':
        return this.#select(expr);
      case 'call':
        return this.#call(expr);
      case 'list': {
        const elements = expr.elements.map((one) => this.plan(one));
        const { optional } = expr;
        const cost = listCost(expr);
        return (frame) => {
          const items: Value[] = [];
          for (let index = 0; index < elements.length; index++) {
            const value = (elements[index] as Step)(frame);
            if (!optional.has(index)) items.push(value);
            else if (value instanceof Optional && value.content !== undefined) items.push(value.content);
          }
          frame.charge(cost);
          return new ArrayList(items);
        };
      }
      case 'map': {
        const entries = expr.entries.map(({ key, value, optional }) => ({
          key: this.plan(key),
          value: this.plan(value),
          optional,
        }));
        return (frame) => {
          const map = new EntryMap();
          for (const { key, value, optional } of entries) {
            const name = key(frame);
            const found = value(frame);
            if (map.get(name) !== undefined) throw new CelError(`Failed with repeated key: ${String(name)}`);
            if (!optional) map.set(name, found);
            else if (found instanceof Optional && found.content !== undefined) map.set(name, found.content);
          }
          frame.charge(30);
          return map;
        };
      }
      case 'struct': {
        const fields = expr.fields.map(({ name, value, optional }) => ({ name, value: this.plan(value), optional }));
        const { name: typeName } = expr;
        return (frame) => {
          const values = new Map<string, Value>();
          for (const { name, value, optional } of fields) {
            const found = value(frame);
            if (!optional) values.set(name, found);
            else if (found instanceof Optional && found.content !== undefined) values.set(name, found.content);
          }
          frame.charge(40);
          return new StructValue(typeName, values);
        };
      }
      case 'comprehension':
        return this.#comprehension(expr);
    }
  }

  #ident(name: string): Step {
    for (let index = this.#scopes.length - 1; index >= 0; index--) {
      const slot = (this.#scopes[index] as Map<string, number>).get(name);
      if (slot !== undefined)
        return (frame) => {
          frame.charge(1);
          return frame.slots[slot] as Value;
        };
    }
    const plain = name.startsWith('.') ? name.slice(1) : name;
    if (this.#declarations.variable(plain) === undefined) return this.#typeValue(plain);
    return (frame) => {
      frame.charge(1);
      const value = frame.activation.get(plain);
      if (value === undefined) throw new CelError(`no such attribute(s): ${plain}`);
      return value;
    };
  }

  #typeValue(name: string): Step {
    const value = new TypeValue(name);
    return () => value;
  }

  #select(expr: Extract<Expr, { kind: 'select' }>): Step {
    const qualified = this.#checked.qualified.get(expr.id);
    if (qualified !== undefined) return this.#ident(`.${qualified}`);
    const operand = this.plan(expr.operand);
    const { field } = expr;
    if (expr.testOnly) {
      return (frame) => {
        const value = operand(frame);
        return value instanceof Optional
          ? value.content !== undefined && hasField(value.content, field)
          : hasField(value, field);
      };
    }
    return (frame) => {
      const value = operand(frame);
      frame.charge(1);
      if (value instanceof CelMap) {
        const found = value.field(field);
        if (found === undefined) throw new CelError(`no such key: ${field}`);
        return found;
      }
      if (value instanceof Optional) {
        if (value.content === null) throw new CelError(`no such key: ${field}`);
        return optionalField(value, field);
      }
      throw new CelError(
        value === null || !(value instanceof CelList)
          ? `no such key: ${field}`
          : `unsupported index type 'string' in list`,
      );
    };
  }

  #call(expr: CallExpr): Step {
    const { args } = expr;
    switch (expr.function) {
      case '_&&_':
        return logical(this.plan(args[0] as Expr), this.plan(args[1] as Expr), false);
      case '_||_':
        return logical(this.plan(args[0] as Expr), this.plan(args[1] as Expr), true);
      case '_?_:_': {
        const [condition, yes, no] = args.map((one) => this.plan(one)) as [Step, Step, Step];
        return (frame) => {
          const which = condition(frame);
          if (typeof which !== 'boolean') throw new CelError('no such overload');
          return which ? yes(frame) : no(frame);
        };
      }
      case '@not_strictly_false': {
        const inner = this.plan(args[0] as Expr);
        return (frame) => {
          try {
            return inner(frame) !== false;
          } catch (error) {
            if (!(error instanceof CelError)) throw error;
            frame.charge(errorCost);
            return true;
          }
        };
      }
      case '_?._': {
        const operand = this.plan(args[0] as Expr);
        const field = (args[1] as { value: string }).value;
        return (frame) => {
          const value = operand(frame);
          frame.charge(1);
          return optionalField(value instanceof Optional ? value : new Optional(value), field);
        };
      }
      case 'or':
      case 'orValue':
        if (expr.target !== undefined && args.length === 1) return this.#alternative(expr);
        break;
      case '_+_': {
        const append = this.#append(expr);
        if (append !== undefined) return append;
      }
    }
    return this.#functionCall(expr);
  }

  /** The alternative of an optional value is evaluated only when it is needed. */
  #alternative(expr: CallExpr): Step {
    const target = this.plan(expr.target as Expr);
    const other = this.plan(expr.args[0] as Expr);
    const whole = expr.function === 'or';
    return (frame) => {
      const value = target(frame);
      frame.charge(1);
      if (!(value instanceof Optional)) throw new CelError('no such overload');
      if (value.content !== undefined) return whole ? value : value.content;
      return other(frame);
    };
  }

  /** A macro's loop grows its own list in place. */
  #append({ args }: CallExpr): Step | undefined {
    const [list, more] = args as [Expr, Expr];
    if (list.kind !== 'ident' || list.name !== accumulator || more.kind !== 'list' || more.elements.length !== 1)
      return undefined;
    const state = this.plan(list);
    const element = this.plan(more.elements[0] as Expr);
    return (frame) => {
      const value = element(frame);
      frame.charge(11);
      const grown = state(frame) as ArrayList;
      grown.items.push(value);
      return grown;
    };
  }

  #functionCall(expr: CallExpr): Step {
    const qualified = this.#checked.qualified.get(expr.id);
    const name = qualified ?? expr.function;
    const member = expr.target !== undefined && qualified === undefined;
    const steps = (member ? [expr.target as Expr, ...expr.args] : expr.args).map((one) => this.plan(one));
    const all = this.#declarations.functions(name) ?? [];
    const overloads =
      this.#checked.overloads.get(expr.id) ??
      all.filter((one) => one.member === member && one.parameters.length === steps.length);
    const [first] = overloads;
    return (frame) => {
      const values: Value[] = [];
      for (const step of steps) values.push(step(frame));
      let overload: Overload | undefined;
      if (first?.accepts(values) === true) overload = first;
      else
        for (const one of overloads)
          if (one.accepts(values)) {
            overload = one;
            break;
          }
      if (overload === undefined) throw new CelError(`no such overload: ${shown(name, member, values)}`);
      frame.charge(runtimeCost(overload, values));
      return overload.run(frame, ...values);
    };
  }

  #comprehension(expr: Extract<Expr, { kind: 'comprehension' }>): Step {
    const range = this.plan(expr.iterRange);
    const init = this.plan(expr.accuInit);
    const accu = this.#slots++;
    this.#scopes.push(new Map([[expr.accuVar, accu]]));
    const first = this.#slots++;
    const second = this.#slots++;
    this.#scopes.push(
      new Map([[expr.iterVar, first], ...(expr.iterVar2 === undefined ? [] : [[expr.iterVar2, second] as const])]),
    );
    const condition = this.plan(expr.loopCondition);
    const step = this.plan(expr.loopStep);
    this.#scopes.pop();
    const result = this.plan(expr.result);
    this.#scopes.pop();
    const two = expr.iterVar2 !== undefined;
    const decisive = decisiveOf(expr);
    return (frame) => {
      const over = range(frame);
      const { slots } = frame;
      slots[accu] = init(frame);
      const isList = over instanceof CelList;
      if (!isList && !(over instanceof CelMap))
        throw new CelError(`no such overload: cannot iterate over ${typeNameOf(over)}`);
      const keys = isList ? [] : over.keys();
      const count = isList ? over.size : keys.length;
      // The state of all and exists may be an error, that a later element can still overrule.
      let failure: CelError | undefined;
      for (let index = 0; index < count; index++) {
        if (failure === undefined && condition(frame) === false) break;
        // Every turn costs something, whatever is in it.
        frame.charge(0.1);
        const key = isList ? undefined : (keys[index] as Value);
        if (two) {
          slots[first] = key ?? BigInt(index);
          slots[second] = isList ? over.at(index) : ((over as CelMap).get(key as Value) as Value);
        } else slots[first] = key ?? (over as CelList).at(index);
        try {
          const state = step(frame);
          if (failure !== undefined && state !== decisive) continue;
          slots[accu] = state;
          failure = undefined;
        } catch (error) {
          if (decisive === undefined || !(error instanceof CelError)) throw error;
          frame.charge(errorCost);
          failure = error;
        }
      }
      if (failure !== undefined) throw failure;
      return result(frame);
    };
  }
}

/** The value that ends an all or exists; undefined for other loops. */
function decisiveOf({ loopStep }: Extract<Expr, { kind: 'comprehension' }>): boolean | undefined {
  if (loopStep.kind !== 'call') return undefined;
  return loopStep.function === '_&&_' ? false : loopStep.function === '_||_' ? true : undefined;
}

/** Literals of constants are made once in upstream's engine, and cost nothing there. */
function listCost({ elements }: Extract<Expr, { kind: 'list' }>): number {
  return elements.length > 0 && elements.every((one) => one.kind === 'literal') ? 0 : 10;
}

function logical(left: Step, right: Step, decisive: boolean): Step {
  return (frame) => {
    let failure: CelError | undefined;
    try {
      const value = left(frame);
      if (value === decisive) return decisive;
      if (typeof value !== 'boolean') failure = new CelError('no such overload');
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      frame.charge(errorCost);
      failure = error;
    }
    const value = right(frame);
    if (value === decisive) return decisive;
    if (failure !== undefined) throw failure;
    if (typeof value !== 'boolean') throw new CelError('no such overload');
    return !decisive;
  };
}

function hasField(value: Value, field: string): boolean {
  if (value instanceof CelMap) return value.has(field);
  throw new CelError(value === null ? `no such key: ${field}` : 'no such overload');
}

function optionalField({ content }: Optional, field: string): Optional {
  if (content === undefined || content === null) return Optional.none;
  if (!(content instanceof CelMap)) throw new CelError('no such overload');
  const found = content.field(field);
  return found instanceof Optional ? found : new Optional(found);
}

const operatorShape = /^[_@!-]/;

function shown(name: string, member: boolean, values: readonly Value[]): string {
  const types = values.map(typeNameOf);
  if (operatorShape.test(name)) return `${name}`;
  return member ? `${types[0]}.${name}(${types.slice(1).join(', ')})` : `${name}(${types.join(', ')})`;
}

/** A message that an expression made: `Object.spec{…}`. */
export class StructValue extends CelMap {
  readonly typeName: string;
  readonly #fields: ReadonlyMap<string, Value>;

  constructor(typeName: string, fields: ReadonlyMap<string, Value>) {
    super();
    this.typeName = typeName;
    this.#fields = fields;
  }

  get size(): number {
    return this.#fields.size;
  }

  keys(): readonly Value[] {
    return [...this.#fields.keys()];
  }

  get(key: Value): Value | undefined {
    return typeof key === 'string' ? this.#fields.get(key) : undefined;
  }
}
