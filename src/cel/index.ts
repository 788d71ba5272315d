export { jsonOf, valueOf } from './data.ts';
export { Environment, type EnvironmentOptions, perCallLimit, type Program } from './environment.ts';
export { CelError, CompileError, CostExceeded } from './errors.ts';
export { escapeField } from './escape.ts';
export { type Activation, type Outcome, StructValue } from './evaluate.ts';
export { define, type Overload } from './function.ts';
export {
  type AuthorizationAnswer,
  type AuthorizationQuestion,
  CelAuthorizer,
  ResourceCheck,
} from './library/authorizer.ts';
export { mostOccurrences, typeOfMessage, typeOfNode, typeOfSchema } from './schema-types.ts';
export {
  boolType,
  type CelField,
  type CelType,
  doubleType,
  dynType,
  elementOf,
  intType,
  listOf,
  mapOf,
  nullType,
  objectOf,
  opaqueOf,
  optionalOf,
  parseType,
  stringType,
  typeText,
} from './types.ts';
export { CelList, CelMap, Duration, equal, Optional, Timestamp, typeNameOf, Uint, type Value } from './values.ts';
