import type { AnyObject, MatchCondition } from '#api';
import {
  type Activation,
  type AuthorizationQuestion,
  boolType,
  CelAuthorizer,
  CelError,
  CelMap,
  type CelType,
  CompileError,
  CostExceeded,
  define,
  dynType,
  Environment,
  listOf,
  mapOf,
  objectOf,
  opaqueOf,
  type Outcome,
  type Program,
  ResourceCheck,
  stringType,
  type Value,
  valueOf,
} from '#cel';
import type { AdmissionAttributes, AuthorizationDecision, Authorizer, RequestAttributes } from '../../contract.ts';

/** What all expressions of one policy may cost for a request, and what match conditions may. As upstream. */
export const policyBudget = 10_000_000;
export const conditionBudget = 2_500_000;

const field = (name: string, type: CelType) => [name, { name, type, required: false }] as const;
const objectType = (name: string, fields: readonly (readonly [string, CelType])[]): CelType =>
  objectOf(name, new Map(fields.map(([one, type]) => field(one, type))));

const texts = listOf(stringType);
const gvk = objectType('kubernetes.GroupVersionKind', [
  ['group', stringType],
  ['version', stringType],
  ['kind', stringType],
]);
const gvr = objectType('kubernetes.GroupVersionResource', [
  ['group', stringType],
  ['version', stringType],
  ['resource', stringType],
]);
const userInfo = objectType('kubernetes.UserInfo', [
  ['username', stringType],
  ['uid', stringType],
  ['groups', texts],
  ['extra', mapOf(stringType, texts)],
]);
const requestType = objectType('kubernetes.AdmissionRequest', [
  ['kind', gvk],
  ['resource', gvr],
  ['subResource', stringType],
  ['requestKind', gvk],
  ['requestResource', gvr],
  ['requestSubResource', stringType],
  ['name', stringType],
  ['namespace', stringType],
  ['operation', stringType],
  ['userInfo', userInfo],
  ['dryRun', boolType],
  ['options', dynType],
]);
const namespaceType = objectType('kubernetes.Namespace', [
  [
    'metadata',
    objectType('kubernetes.NamespaceMetadata', [
      ['name', stringType],
      ['generateName', stringType],
      ['namespace', stringType],
      ['labels', mapOf(stringType, stringType)],
      ['annotations', mapOf(stringType, stringType)],
      ['uid', stringType],
      ['creationTimestamp', { kind: 'timestamp', dataFormat: 'date-time' }],
      ['deletionTimestamp', { kind: 'timestamp', dataFormat: 'date-time' }],
      ['deletionGracePeriodSeconds', { kind: 'int' }],
      ['generation', { kind: 'int' }],
      ['resourceVersion', stringType],
      ['finalizers', texts],
    ]),
  ],
  ['spec', objectType('kubernetes.NamespaceSpec', [['finalizers', texts]])],
  ['status', objectType('kubernetes.NamespaceStatus', [['phase', stringType]])],
]);
const authorizerType = opaqueOf('kubernetes.authorization.Authorizer');
const resourceCheckType = opaqueOf('kubernetes.authorization.ResourceCheck');

/** What the expressions of one place may read. */
export interface Scope {
  readonly params: boolean;
  readonly authorizer: boolean;
  /** The types of variables declared so far. */
  readonly variables?: ReadonlyMap<string, CelType>;
  /** The types of object and params where they are known: for type checking. */
  readonly object?: CelType;
  readonly paramsType?: CelType;
  /** Object{…} and JSONPatch{…}. */
  readonly mutation?: boolean;
}

const patchType = objectType('JSONPatch', [
  ['op', stringType],
  ['path', stringType],
  ['from', stringType],
  ['value', dynType],
]);

/** The types of `Object{spec: Object.spec{…}}`: any fields; their names are judged when the value is made. */
function structType(name: string): CelType | undefined {
  if (name === 'JSONPatch') return patchType;
  return name === 'Object' || name.startsWith('Object.') ? objectOf(name, new Map(), { open: true }) : undefined;
}

const escapeKey = define('jsonpatch.escapeKey', 'jsonpatch_escapeKey_string', '(string): string', (_, key) =>
  (key as string).replaceAll('~', '~0').replaceAll('/', '~1'),
);

/** An environment for expressions of admission. */
export function admissionEnvironment(scope: Scope): Environment {
  const object = scope.object ?? dynType;
  const variables = scope.variables ?? new Map<string, CelType>();
  return new Environment({
    variables: {
      object,
      oldObject: object,
      request: requestType,
      namespaceObject: namespaceType,
      ...(scope.params ? { params: scope.paramsType ?? dynType } : {}),
      ...(scope.authorizer ? { authorizer: authorizerType, 'authorizer.requestResource': resourceCheckType } : {}),
      variables: objectOf('kubernetes.variables', new Map([...variables].map(([name, type]) => field(name, type)))),
    },
    ...(scope.mutation === true ? { struct: structType, functions: [escapeKey] } : {}),
  });
}

/** Thrown out of an evaluation that has to wait for the authorizer; the evaluation is then made again. */
export class WaitForAuthorizer extends Error {
  readonly answer: Promise<unknown>;

  constructor(answer: Promise<unknown>) {
    super('waiting for the authorizer');
    this.answer = answer;
  }
}

/** The authorizer's answers within one request: each question is asked once. */
export class AskedAuthorizer {
  readonly #authorizer: Authorizer;
  readonly #attributes: AdmissionAttributes;
  readonly #known = new Map<string, AuthorizationDecision>();

  constructor(authorizer: Authorizer, attributes: AdmissionAttributes) {
    this.#authorizer = authorizer;
    this.#attributes = attributes;
  }

  readonly ask = (question: AuthorizationQuestion): { allowed: boolean; reason: string } => {
    const name = JSON.stringify(question);
    let decision = this.#known.get(name);
    if (decision === undefined) {
      const answer = this.#authorizer.authorize(this.#question(question));
      if (answer instanceof Promise) throw new WaitForAuthorizer(answer.then((one) => void this.#known.set(name, one)));
      decision = answer;
      this.#known.set(name, decision);
    }
    return { allowed: decision.decision === 'allow', reason: decision.reason };
  };

  #question(question: AuthorizationQuestion): RequestAttributes {
    const account = question.user?.serviceAccount;
    const identity =
      account === undefined
        ? this.#attributes.identity
        : {
            user: `system:serviceaccount:${account.namespace}:${account.name}`,
            groups: ['system:serviceaccounts', `system:serviceaccounts:${account.namespace}`, 'system:authenticated'],
          };
    return {
      identity,
      verb: question.verb,
      isResource: question.path === undefined,
      group: question.group ?? '',
      version: '*',
      resource: question.resource ?? '',
      subresource: question.subresource ?? '',
      namespace: question.namespace ?? '',
      name: question.name ?? '',
      path: question.path ?? '',
      ...(question.fieldSelector === undefined ? {} : { fieldSelector: question.fieldSelector }),
      ...(question.labelSelector === undefined ? {} : { labelSelector: question.labelSelector }),
    };
  }
}

/** Runs until every question to the authorizer is answered. */
export async function withAnswers<T>(run: () => T): Promise<T> {
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof WaitForAuthorizer)) throw error;
      await error.answer;
    }
  }
}

/** The request as expressions see it. */
function requestOf(attributes: AdmissionAttributes): object {
  const { group, version, kind, resource, subresource, namespace, name, identity, operation } = attributes;
  const kindOf = { group, version, kind };
  const resourceOf = { group, version, resource };
  return {
    kind: kindOf,
    resource: resourceOf,
    subResource: subresource,
    requestKind: kindOf,
    requestResource: resourceOf,
    requestSubResource: subresource,
    name: name ?? '',
    namespace,
    operation,
    userInfo: {
      username: identity.user,
      uid: identity.uid ?? '',
      groups: [...identity.groups],
      extra: identity.extra ?? {},
    },
    dryRun: attributes.dryRun,
    options: Object.keys(attributes.options).length === 0 ? null : attributes.options,
  };
}

export interface RequestInput {
  readonly attributes: AdmissionAttributes;
  readonly params: AnyObject | undefined;
  readonly namespace: AnyObject | undefined;
  readonly asked: AskedAuthorizer;
}

/** One policy's variable: its expression is evaluated when an expression first reads it. */
export interface NamedProgram {
  readonly name: string;
  readonly program: Program | CompileError;
}

/** The values that expressions read for one request. Made anew when the object has changed. */
export class RequestActivation implements Activation {
  readonly #input: RequestInput;
  readonly #variables: LazyVariables;
  #request: Value | undefined;

  constructor(input: RequestInput, variables: readonly NamedProgram[]) {
    this.#input = input;
    this.#variables = new LazyVariables(variables, this);
  }

  /** What variables have cost since the last call. */
  takeVariableCost(): number {
    return this.#variables.takeCost();
  }

  get(name: string): Value | undefined {
    const { attributes, params, namespace, asked } = this.#input;
    switch (name) {
      case 'object':
        return valueOf(attributes.object ?? null);
      case 'oldObject':
        return valueOf(attributes.oldObject ?? null);
      case 'request':
        this.#request ??= valueOf(requestOf(attributes), requestType);
        return this.#request;
      case 'params':
        return valueOf(params ?? null);
      case 'namespaceObject':
        return valueOf(namespace ?? null, namespaceType);
      case 'variables':
        return this.#variables;
      case 'authorizer':
        return new CelAuthorizer(asked.ask, {});
      case 'authorizer.requestResource':
        return new ResourceCheck(asked.ask, {
          group: attributes.group,
          resource: attributes.resource,
          ...(attributes.subresource === '' ? {} : { subresource: attributes.subresource }),
          ...(attributes.namespace === '' ? {} : { namespace: attributes.namespace }),
          ...((attributes.name ?? '') === '' ? {} : { name: attributes.name }),
        });
      default:
        return undefined;
    }
  }
}

class LazyVariables extends CelMap {
  readonly typeName = 'kubernetes.variables';
  readonly #programs: ReadonlyMap<string, Program | CompileError>;
  readonly #known = new Map<string, Outcome>();
  readonly #activation: Activation;
  #cost = 0;

  constructor(variables: readonly NamedProgram[], activation: Activation) {
    super();
    this.#programs = new Map(variables.map(({ name, program }) => [name, program]));
    this.#activation = activation;
  }

  get size(): number {
    return this.#programs.size;
  }

  keys(): readonly string[] {
    return [...this.#programs.keys()];
  }

  takeCost(): number {
    const cost = this.#cost;
    this.#cost = 0;
    return cost;
  }

  get(key: Value): Value | undefined {
    const program = typeof key === 'string' ? this.#programs.get(key) : undefined;
    if (program === undefined) return undefined;
    let outcome = this.#known.get(key as string);
    if (outcome === undefined) {
      if (program instanceof CompileError)
        throw new CelError(`composited variable "${key}" fails to compile: ${program.message}`);
      outcome = program.run(this.#activation);
      this.#known.set(key as string, outcome);
      this.#cost += outcome.cost;
    }
    const { error, value } = outcome;
    if (error instanceof CostExceeded) throw error;
    if (error !== undefined) throw new CelError(`composited variable "${key}" fails to evaluate: ${error.message}`);
    return value as Value;
  }
}

/** A program, or why it is none. */
export function compileOr(environment: Environment, source: string): Program | CompileError {
  try {
    return environment.compile(source);
  } catch (error) {
    if (error instanceof CompileError) return error;
    throw error;
  }
}

/** What is left of a budget that several expressions share. */
export class Budget {
  #left: number;

  constructor(total: number) {
    this.#left = total;
  }

  get left(): number {
    return this.#left;
  }

  /** False when it is used up. */
  take(cost: number): boolean {
    this.#left -= cost;
    return this.#left >= 0;
  }
}

const overBudget = 'validation failed due to running out of cost budget, no further validation rules will be run';

/** Runs one expression at the cost of a budget. The error's text is upstream's. */
export function evaluate(
  program: Program | CompileError,
  source: string,
  activation: RequestActivation,
  budget: Budget,
): { readonly value?: Value; readonly error?: string } {
  if (program instanceof CompileError) return { error: `compilation error: compilation failed: ${program.message}` };
  if (budget.left < 0) return { error: overBudget };
  const outcome = program.run(activation);
  const inBudget = budget.take(outcome.cost + activation.takeVariableCost());
  if (outcome.error instanceof CostExceeded)
    return { error: `expression '${source}' resulted in error: ${outcome.error.message}` };
  if (!inBudget) return { error: overBudget };
  if (outcome.error !== undefined)
    return { error: `expression '${source}' resulted in error: ${outcome.error.message}` };
  return { value: outcome.value as Value };
}

// ---------------------------------------------------------------- match conditions

export interface CompiledConditions {
  /** Undefined: all hold. `name`: the first that does not. `error`: none is false, and some cannot be evaluated. */
  match(activation: RequestActivation): { readonly name?: string; readonly error?: string } | undefined;
}

/** Compiles match conditions: a request matches when every one of them holds. */
export function compileConditions(conditions: readonly MatchCondition[], scope: Scope): CompiledConditions {
  const environment = admissionEnvironment(scope);
  const programs = conditions.map(({ name, expression }) => ({
    name,
    expression,
    program: compileOr(environment, expression),
  }));
  return {
    match(activation) {
      const budget = new Budget(conditionBudget);
      const errors: string[] = [];
      for (const { name, expression, program } of programs) {
        const { value, error } = evaluate(program, expression, activation, budget);
        if (error !== undefined) errors.push(error);
        else if (value !== true) return { name };
      }
      if (errors.length === 0) return undefined;
      return { error: errors.length === 1 ? (errors[0] as string) : `[${errors.join(', ')}]` };
    },
  };
}
