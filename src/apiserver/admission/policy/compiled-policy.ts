import type {
  AnyObject,
  MutatingAdmissionPolicy,
  Mutation,
  ValidatingAdmissionPolicy,
  Validation,
  Variable,
} from '#api';
import { CompileError, type CelType, dynType, type Program, typeNameOf } from '#cel';
import type { AdmissionAttributes, Authorizer } from '../../contract.ts';
import {
  admissionEnvironment,
  AskedAuthorizer,
  Budget,
  type CompiledConditions,
  compileConditions,
  compileOr,
  evaluate,
  type NamedProgram,
  policyBudget,
  RequestActivation,
  type Scope,
  withAnswers,
} from './environment.ts';

const longestMessageBytes = 5 * 1024;
const longestAnnotationBytes = 10 * 1024;

/** What a policy says of a request under one set of parameters. */
export interface Decision {
  readonly index: number;
  readonly message: string;
  readonly reason: string;
}

export interface Verdict {
  readonly denied: readonly Decision[];
  /** What audit annotations have against them: denies the request, whatever a binding says of validations. */
  readonly failed: readonly string[];
  /** Audit annotations by key. */
  readonly annotations: ReadonlyMap<string, string>;
}

const nothing: Verdict = { denied: [], failed: [], annotations: new Map() };

export interface Evaluation {
  readonly attributes: AdmissionAttributes;
  readonly params: AnyObject | undefined;
  readonly namespace: AnyObject | undefined;
  readonly authorizer: Authorizer;
}

/** The variables of a policy; each may read those before it. */
export function compileVariables(
  variables: readonly Variable[],
  scope: Scope,
): { programs: NamedProgram[]; types: Map<string, CelType> } {
  const types = new Map<string, CelType>();
  const programs: NamedProgram[] = [];
  for (const { name, expression } of variables) {
    const program = compileOr(admissionEnvironment({ ...scope, variables: types }), expression);
    programs.push({ name, program });
    types.set(name, program instanceof CompileError ? dynType : program.resultType);
  }
  return { programs, types };
}

function conditionsOf(policy: ValidatingAdmissionPolicy | MutatingAdmissionPolicy): CompiledConditions {
  const params = policy.spec?.paramKind !== undefined;
  return compileConditions(policy.spec?.matchConditions ?? [], { params, authorizer: true });
}

interface CompiledValidation {
  readonly validation: Validation;
  readonly program: Program | CompileError;
  readonly message: Program | CompileError | undefined;
}

/** A ValidatingAdmissionPolicy whose expressions are compiled once. */
export class CompiledValidatingPolicy {
  readonly #fails: boolean;
  readonly #conditions: CompiledConditions;
  readonly #variables: readonly NamedProgram[];
  readonly #validations: readonly CompiledValidation[];
  readonly #annotations: readonly {
    readonly key: string;
    readonly source: string;
    readonly program: Program | CompileError;
  }[];

  constructor(policy: ValidatingAdmissionPolicy) {
    const { spec } = policy;
    const params = spec?.paramKind !== undefined;
    this.#fails = spec?.failurePolicy !== 'Ignore';
    this.#conditions = conditionsOf(policy);
    const { programs, types } = compileVariables(spec?.variables ?? [], { params, authorizer: true });
    this.#variables = programs;
    const environment = admissionEnvironment({ params, authorizer: true, variables: types });
    const plain = admissionEnvironment({ params, authorizer: false, variables: types });
    this.#validations = (spec?.validations ?? []).map((validation) => ({
      validation,
      program: compileOr(environment, validation.expression),
      message: validation.messageExpression ? compileOr(plain, validation.messageExpression) : undefined,
    }));
    this.#annotations = (spec?.auditAnnotations ?? []).map(({ key, valueExpression }) => ({
      key,
      source: valueExpression,
      program: compileOr(plain, valueExpression),
    }));
  }

  /** Judges one request. Errors count as the failure policy says. */
  validate(evaluation: Evaluation): Promise<Verdict> {
    const { attributes, authorizer } = evaluation;
    const asked = new AskedAuthorizer(authorizer, attributes);
    return withAnswers(() => this.#judge(new RequestActivation({ ...evaluation, asked }, this.#variables)));
  }

  #judge(activation: RequestActivation): Verdict {
    const mismatch = this.#conditions.match(activation);
    if (mismatch !== undefined) return mismatch.error === undefined ? nothing : this.#failed(mismatch.error);
    const budget = new Budget(policyBudget);
    const denied: Decision[] = [];
    for (const [index, one] of this.#validations.entries()) {
      const { validation, program } = one;
      const { value, error } = evaluate(program, validation.expression, activation, budget);
      if (error !== undefined) {
        if (this.#fails) denied.push({ index, message: error, reason: 'Invalid' });
      } else if (value !== true) {
        denied.push({ index, message: messageOf(one, activation, budget), reason: validation.reason ?? 'Invalid' });
      }
    }
    return this.#annotate(activation, denied);
  }

  #failed(message: string): Verdict {
    return this.#fails ? { ...nothing, denied: [{ index: 0, message, reason: 'Invalid' }] } : nothing;
  }

  #annotate(activation: RequestActivation, denied: Decision[]): Verdict {
    const annotations = new Map<string, string>();
    const budget = new Budget(policyBudget);
    const failed: string[] = [];
    for (const { key, source, program } of this.#annotations) {
      const { value, error } = evaluate(program, source, activation, budget);
      if (error !== undefined) {
        if (this.#fails) failed.push(error);
      } else if (typeof value === 'string') {
        if (value.trim() !== '') annotations.set(key, value.trim().slice(0, longestAnnotationBytes));
      } else if (value !== null && value !== undefined)
        failed.push(
          `valueExpression '${source}' resulted in unsupported return type: ${typeNameOf(value)}. Return type must be either string or null.`,
        );
    }
    return { denied, failed, annotations };
  }
}

function messageOf({ validation, message }: CompiledValidation, activation: RequestActivation, budget: Budget): string {
  if (message !== undefined) {
    const { value } = evaluate(message, validation.messageExpression ?? '', activation, budget);
    const text = typeof value === 'string' ? value.trim() : '';
    if (text !== '' && !text.includes('\n') && Buffer.byteLength(text) <= longestMessageBytes) return text;
  }
  const plain = (validation.message ?? '').trim();
  return plain === '' ? `failed expression: ${validation.expression.trim()}` : plain;
}

/** One mutation of a policy, compiled. */
export interface CompiledMutation {
  readonly mutation: Mutation;
  readonly source: string;
  readonly program: Program | CompileError;
}

/** A MutatingAdmissionPolicy whose expressions are compiled once. */
export class CompiledMutatingPolicy {
  readonly fails: boolean;
  readonly mutations: readonly CompiledMutation[];
  readonly #conditions: CompiledConditions;
  readonly #variables: readonly NamedProgram[];

  constructor(policy: MutatingAdmissionPolicy) {
    const { spec } = policy;
    const params = spec?.paramKind !== undefined;
    this.fails = spec?.failurePolicy !== 'Ignore';
    this.#conditions = conditionsOf(policy);
    const { programs, types } = compileVariables(spec?.variables ?? [], { params, authorizer: true });
    this.#variables = programs;
    const environment = admissionEnvironment({ params, authorizer: true, variables: types, mutation: true });
    this.mutations = (spec?.mutations ?? []).map((mutation) => {
      const source = mutation.applyConfiguration?.expression ?? mutation.jsonPatch?.expression ?? '';
      return { mutation, source, program: compileOr(environment, source) };
    });
  }

  /** Whether the match conditions hold. `error`: they cannot be evaluated. */
  matches(
    evaluation: Evaluation,
    asked: AskedAuthorizer,
  ): Promise<{ readonly matches: boolean; readonly error?: string }> {
    return withAnswers(() => {
      const mismatch = this.#conditions.match(this.#activation(evaluation, asked));
      if (mismatch === undefined) return { matches: true };
      return mismatch.error === undefined ? { matches: false } : { matches: false, error: mismatch.error };
    });
  }

  /** What one mutation evaluates to, for the object as it is now. */
  evaluate(
    { program, source }: CompiledMutation,
    evaluation: Evaluation,
    asked: AskedAuthorizer,
    budget: Budget,
  ): Promise<ReturnType<typeof evaluate>> {
    return withAnswers(() => evaluate(program, source, this.#activation(evaluation, asked), budget));
  }

  #activation(evaluation: Evaluation, asked: AskedAuthorizer): RequestActivation {
    return new RequestActivation({ ...evaluation, asked }, this.#variables);
  }
}
