import type { AnyObject, DeviceSelector } from '#api';
import {
  boolType,
  type CelType,
  CompileError,
  Environment,
  dynType,
  mapOf,
  objectOf,
  opaqueOf,
  stringType,
  typeText,
} from '#cel';
import { type FieldError, forbiddenError, invalidError, tooLongError } from '#machinery';

/** Limits of devices and of the expressions that choose them, as upstream. */
const longestExpression = 10 * 1024;
const mostCost = 1_000_000;
const mostAttributes = 32;
const longestValue = 64;
const longestDomain = 63;
const longestId = 32;

const sized = (type: CelType, maxElements: number): CelType => ({ ...type, maxElements });
const byName = (value: CelType): CelType =>
  mapOf(sized(stringType, longestDomain), mapOf(sized(stringType, longestId), value, { maxElements: mostAttributes }), {
    maxElements: mostAttributes,
  });
const field = (name: string, type: CelType) => [name, { name, type, required: true }] as const;

const deviceType = objectOf(
  'kubernetes.DRADevice',
  new Map([
    field('driver', sized(stringType, longestDomain)),
    field('attributes', byName(sized(dynType, longestValue))),
    field('capacity', byName(opaqueOf('kubernetes.Quantity'))),
    field('allowMultipleAllocations', boolType),
  ]),
);

function selectorErrors(selectors: readonly DeviceSelector[] | undefined, at: string): FieldError[] {
  return (selectors ?? []).flatMap(({ cel }, index) => {
    const expression = cel?.expression ?? '';
    return expression === '' ? [] : expressionErrors(expression, `${at}[${index}].cel.expression`);
  });
}

function expressionErrors(expression: string, at: string): FieldError[] {
  if (Buffer.byteLength(expression) > longestExpression) return [tooLongError(at, expression, longestExpression)];
  try {
    const program = new Environment({ variables: { device: deviceType }, bindings: true }).compile(expression);
    const { kind } = program.resultType;
    if (kind !== 'bool' && kind !== 'dyn')
      return [
        invalidError(at, expression, `must evaluate to bool or the unknown type, not ${typeText(program.resultType)}`),
      ];
    return program.estimatedCost().max > mostCost ? [forbiddenError(at, 'too complex, exceeds cost limit')] : [];
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return [invalidError(at, expression, `compilation failed: ${error.message}`)];
  }
}

interface Request {
  readonly exactly?: { readonly selectors?: readonly DeviceSelector[] };
  readonly firstAvailable?: readonly { readonly selectors?: readonly DeviceSelector[] }[];
}

/** What the selectors of a DeviceClass, ResourceClaim or ResourceClaimTemplate have against them. */
export function deviceSelectorErrors({ kind, spec }: AnyObject): FieldError[] {
  const root = spec as
    | { selectors?: readonly DeviceSelector[]; spec?: object; devices?: { requests?: readonly Request[] } }
    | undefined;
  if (kind === 'DeviceClass') return selectorErrors(root?.selectors, 'spec.selectors');
  const isTemplate = kind === 'ResourceClaimTemplate';
  const claim = (isTemplate ? root?.spec : root) as typeof root;
  const at = isTemplate ? 'spec.spec.devices.requests' : 'spec.devices.requests';
  return (claim?.devices?.requests ?? []).flatMap(({ exactly, firstAvailable }, index) => [
    ...selectorErrors(exactly?.selectors, `${at}[${index}].exactly.selectors`),
    ...(firstAvailable ?? []).flatMap(({ selectors }, rank) =>
      selectorErrors(selectors, `${at}[${index}].firstAvailable[${rank}].selectors`),
    ),
  ]);
}
