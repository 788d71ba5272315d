import { type CelType, parseType, splitTypes } from './types.ts';
import {
  CelList,
  CelMap,
  Duration,
  type Meter,
  Optional,
  Opaque,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from './values.ts';

/** What a running expression gives its functions: charge before doing work that the prices do not cover. */
export type CallContext = Meter;

export type Implementation = (context: CallContext, ...args: Value[]) => Value;

/** One signature of a function. */
export interface Overload {
  readonly id: string;
  readonly function: string;
  /** Called as `target.name(…)`: the target is the first parameter. */
  readonly member: boolean;
  readonly parameters: readonly CelType[];
  readonly result: CelType;
  readonly run: Implementation;
  /** Whether the arguments are of those types. */
  readonly accepts: (args: readonly Value[]) => boolean;
}

/**
 * Declares an overload: `define('startsWith', 'starts_with_string', 'string.(string): bool', run)`. A signature that begins with a
 * type and a dot is a member function's.
 */
export function define(name: string, id: string, signature: string, run: Implementation): Overload {
  const parts = /^(?:(.*?)\.)?\((.*)\):\s*(.*)$/.exec(signature);
  if (parts === null) throw new TypeError(`bad signature: ${signature}`);
  const [, target, list = '', result = 'dyn'] = parts;
  const parameters = [...(target === undefined || target === '' ? [] : [target]), ...splitTypes(list)].map(parseType);
  const guards = parameters.map(guardOf);
  return {
    id,
    function: name,
    member: target !== undefined && target !== '',
    parameters,
    result: parseType(result),
    run,
    accepts: (args) => args.every((one, index) => (guards[index] as (value: Value) => boolean)(one)),
  };
}

/** Whether a value is of a type, as far as its outermost form shows. */
export function guardOf(type: CelType): (value: Value) => boolean {
  switch (type.kind) {
    case 'bool':
      return (value) => typeof value === 'boolean';
    case 'int':
      return (value) => typeof value === 'bigint';
    case 'double':
      return (value) => typeof value === 'number';
    case 'string':
      return (value) => typeof value === 'string';
    case 'null_type':
      return (value) => value === null;
    case 'uint':
      return (value) => value instanceof Uint;
    case 'bytes':
      return (value) => value instanceof Uint8Array;
    case 'timestamp':
      return (value) => value instanceof Timestamp;
    case 'duration':
      return (value) => value instanceof Duration;
    case 'type':
      return (value) => value instanceof TypeValue;
    case 'list':
      return (value) => value instanceof CelList;
    case 'map':
    case 'object':
      return (value) => value instanceof CelMap;
    case 'opaque':
      if (type.name === 'optional_type') return (value) => value instanceof Optional;
      return (value) => value instanceof Opaque && value.typeName === type.name;
    default:
      return () => true;
  }
}
