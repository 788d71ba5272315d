import type { MatchCondition, MutatingAdmissionPolicy, ValidatingAdmissionPolicy, Variable } from '#api';
import { type CelType, CompileError, dynType, typeText } from '#cel';
import { type FieldError, invalidError } from '#machinery';
import { admissionEnvironment, compileOr, type Scope } from './environment.ts';

/** The kinds of result that an expression may have, by place. */
type Allowed = readonly { readonly text: string; readonly fits: (type: CelType) => boolean }[];

const ofKind = (kind: CelType['kind'], text: string = kind): Allowed[number] => ({
  text,
  fits: (type) => type.kind === kind,
});
const bool: Allowed = [ofKind('bool')];
const text: Allowed = [ofKind('string')];
const textOrNull: Allowed = [ofKind('string'), ofKind('null_type')];
const whole: Allowed = [{ text: 'Object', fits: ({ kind, name }) => kind === 'object' && name === 'Object' }];
const patches: Allowed = [
  {
    text: 'list(JSONPatch)',
    fits: ({ kind, parameters }) => kind === 'list' && parameters?.[0]?.name === 'JSONPatch',
  },
];

export interface ExpressionProblem {
  readonly field: string;
  readonly source: string;
  readonly detail: string;
}

/** Compiles one expression; what is wrong goes to `found`. Returns its type, dyn when there is none. */
function check(
  where: { readonly source: string; readonly field: string; readonly scope: Scope; readonly allowed?: Allowed },
  found: ExpressionProblem[],
): CelType {
  const { source, field, scope, allowed } = where;
  if (source === undefined || source.trim() === '') return dynType;
  const program = compileOr(admissionEnvironment(scope), source);
  if (program instanceof CompileError) {
    found.push({ field, source, detail: `compilation failed: ${program.message}` });
    return dynType;
  }
  const { resultType } = program;
  if (allowed !== undefined && !allowed.some(({ fits }) => fits(resultType))) {
    const names = allowed.map((one) => one.text);
    const wanted = names.length === 1 ? names[0] : `one of [${names.join(' ')}]`;
    found.push({ field, source, detail: `must evaluate to ${wanted} but got ${typeText(resultType)}` });
  }
  return resultType;
}

function checkConditions(
  conditions: readonly MatchCondition[],
  field: string,
  scope: Scope,
  found: ExpressionProblem[],
): void {
  for (const [index, { expression }] of conditions.entries())
    check({ source: expression, field: `${field}[${index}].expression`, scope, allowed: bool }, found);
}

function checkVariables(
  variables: readonly Variable[],
  scope: Scope,
  found: ExpressionProblem[],
): Map<string, CelType> {
  const types = new Map<string, CelType>();
  for (const [index, { name, expression }] of variables.entries()) {
    const field = `spec.variables[${index}].expression`;
    types.set(name, check({ source: expression, field, scope: { ...scope, variables: new Map(types) } }, found));
  }
  return types;
}

/** What the expressions of a policy have against them. `types`: those of object and params, where they are known. */
export function validatingPolicyProblems(
  { spec }: ValidatingAdmissionPolicy,
  types: Pick<Scope, 'object' | 'paramsType'> = {},
): ExpressionProblem[] {
  const found: ExpressionProblem[] = [];
  const base: Scope = { params: spec?.paramKind !== undefined, authorizer: true, ...types };
  checkConditions(spec?.matchConditions ?? [], 'spec.matchConditions', base, found);
  const variables = checkVariables(spec?.variables ?? [], base, found);
  const plain: Scope = { ...base, authorizer: false, variables };
  for (const [index, validation] of (spec?.validations ?? []).entries()) {
    const field = `spec.validations[${index}]`;
    check(
      { source: validation.expression, field: `${field}.expression`, scope: { ...base, variables }, allowed: bool },
      found,
    );
    if (validation.messageExpression)
      check(
        { source: validation.messageExpression, field: `${field}.messageExpression`, scope: plain, allowed: text },
        found,
      );
  }
  for (const [index, { valueExpression }] of (spec?.auditAnnotations ?? []).entries())
    check(
      {
        source: valueExpression,
        field: `spec.auditAnnotations[${index}].valueExpression`,
        scope: plain,
        allowed: textOrNull,
      },
      found,
    );
  return found;
}

const asErrors = (problems: readonly ExpressionProblem[]): FieldError[] =>
  problems.map(({ field, source, detail }) => invalidError(field, source, detail));

export function validatingPolicyErrors(policy: ValidatingAdmissionPolicy): FieldError[] {
  return asErrors(validatingPolicyProblems(policy));
}

export function mutatingPolicyErrors({ spec }: MutatingAdmissionPolicy): FieldError[] {
  const found: ExpressionProblem[] = [];
  const base: Scope = { params: spec?.paramKind !== undefined, authorizer: true };
  checkConditions(spec?.matchConditions ?? [], 'spec.matchConditions', base, found);
  const variables = checkVariables(spec?.variables ?? [], base, found);
  const scope: Scope = { ...base, variables, mutation: true };
  for (const [index, { applyConfiguration, jsonPatch }] of (spec?.mutations ?? []).entries()) {
    const field = `spec.mutations[${index}]`;
    if (applyConfiguration !== undefined)
      check(
        {
          source: applyConfiguration.expression ?? '',
          field: `${field}.applyConfiguration.expression`,
          scope,
          allowed: whole,
        },
        found,
      );
    if (jsonPatch !== undefined)
      check(
        { source: jsonPatch.expression ?? '', field: `${field}.jsonPatch.expression`, scope, allowed: patches },
        found,
      );
  }
  return asErrors(found);
}

/** Match conditions of webhooks. */
export function conditionErrors(conditions: readonly MatchCondition[], field: string, params: boolean): FieldError[] {
  const found: ExpressionProblem[] = [];
  checkConditions(conditions, field, { params, authorizer: true }, found);
  return asErrors(found);
}
