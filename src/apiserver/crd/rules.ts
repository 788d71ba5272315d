import type { JSONSchemaProps, ValidationRule } from '#api';
import {
  type CelType,
  CompileError,
  CostExceeded,
  Environment,
  mostOccurrences,
  Optional,
  optionalOf,
  type Outcome,
  type Program,
  typeOfSchema,
  valueOf,
} from '#cel';
import {
  deepEqual,
  duplicateError,
  type FieldError,
  forbiddenError,
  internalFieldError,
  invalidError,
  requiredError,
} from '#machinery';
import { fieldPathOf } from './rule-field-path.ts';
import { itemsOf, oldField, oldItems, valuesOf } from './schema-walk.ts';

/** What all rules of one object may cost, and what one rule, estimated beforehand, and all rules of a schema. As upstream. */
const objectBudget = 10_000_000;
const ruleEstimateLimit = 10_000_000;
export const schemaEstimateLimit = 100_000_000;
const longestMessageBytes = 5 * 1024;

interface CompiledRule {
  readonly rule: ValidationRule;
  readonly program: Program;
  readonly message: Program | undefined;
  readonly usesOldSelf: boolean;
  /** Where its errors are shown, below the schema's own place: `.a.b` without the first dot. */
  readonly fieldPath: string | undefined;
}

/** What is wrong with one rule of a definition. */
interface RuleProblem {
  readonly at: 'rule' | 'messageExpression';
  readonly detail: string;
}

interface Compilation {
  readonly compiled?: CompiledRule;
  readonly problems: readonly RuleProblem[];
}

function compileRule(rule: ValidationRule, type: CelType, schema: JSONSchemaProps): Compilation {
  const oldSelf = rule.optionalOldSelf === true ? optionalOf(type) : type;
  const environment = new Environment({ variables: { self: type, oldSelf } });
  let program: Program;
  try {
    program = environment.compile(rule.rule);
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return { problems: [{ at: 'rule', detail: `compilation failed: ${error.message}` }] };
  }
  if (program.resultType.kind !== 'bool')
    return { problems: [{ at: 'rule', detail: 'cel expression must evaluate to a bool' }] };
  const problems: RuleProblem[] = [];
  let message: Program | undefined;
  const { messageExpression } = rule;
  if (messageExpression !== undefined && messageExpression.trim() !== '') {
    try {
      message = environment.compile(messageExpression);
      if (message.resultType.kind !== 'string')
        problems.push({ at: 'messageExpression', detail: 'messageExpression must evaluate to a string' });
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      problems.push({ at: 'messageExpression', detail: `messageExpression compilation failed: ${error.message}` });
    }
  }
  const usesOldSelf = program.references.has('oldSelf');
  const fieldPath = rule.fieldPath === undefined ? undefined : fieldPathOf(rule.fieldPath, schema);
  return { compiled: { rule, program, message, usesOldSelf, fieldPath }, problems };
}

// ---------------------------------------------------------------- definitions

/** What rules below one schema were estimated to cost, for the limit of a whole definition. */
export interface EstimatedCost {
  total: number;
  readonly rules: { readonly field: string; readonly cost: number }[];
}

export interface RuleCheck {
  readonly schema: JSONSchemaProps;
  readonly isRoot: boolean;
  /** The path of the schema in the definition. */
  readonly field: string;
  /** How often a value of it can occur in an object; undefined: below something without a bound. */
  readonly cardinality: number | undefined;
  /** The path of the list or map below which old values cannot be told apart. */
  readonly uncorrelatable: string | undefined;
  readonly cost: EstimatedCost;
}

/** What a definition's rules of one schema (not of those below it) have against them. Costs are added up. */
export function checkRules(check: RuleCheck): FieldError[] {
  const { schema, field, cost } = check;
  const found: FieldError[] = [];
  const type = typeOfSchema(schema, check.isRoot, 'self');
  if (type === undefined) {
    const keeps = schema['x-kubernetes-preserve-unknown-fields'] === true;
    const detail = `rule declared on schema that does not support validation rules type: '${schema.type ?? ''}' x-kubernetes-preserve-unknown-fields: '${keeps}'`;
    return [internalFieldError(`${field}.x-kubernetes-validations`, detail)];
  }
  const times = check.cardinality ?? mostOccurrences(schema);
  for (const [index, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    const at = `${field}.x-kubernetes-validations[${index}]`;
    const { compiled, problems } = compileRule(rule, type, schema);
    if (compiled !== undefined) {
      observe(compiled.program.estimatedCost().max * times, `${at}.rule`, 'estimated rule cost', cost, found);
    }
    for (const problem of problems) found.push(invalidError(`${at}.${problem.at}`, shownRule(rule), problem.detail));
    if (compiled === undefined) continue;
    if (compiled.message !== undefined && problems.length === 0) {
      observe(
        compiled.message.estimatedCost().max,
        `${at}.messageExpression`,
        'estimated messageExpression cost',
        cost,
        found,
      );
    }
    if (compiled.usesOldSelf) {
      if (check.uncorrelatable !== undefined)
        found.push(
          invalidError(
            `${at}.rule`,
            rule.rule,
            `oldSelf cannot be used on the uncorrelatable portion of the schema within ${check.uncorrelatable}`,
          ),
        );
    } else if (rule.optionalOldSelf !== undefined) {
      found.push(
        invalidError(`${at}.optionalOldSelf`, rule.optionalOldSelf, 'may not be set if oldSelf is not used in rule'),
      );
    }
  }
  return found;
}

function observe(max: number, field: string, name: string, cost: EstimatedCost, found: FieldError[]): void {
  if (max > ruleEstimateLimit) found.push(forbiddenError(field, costMessage(name, max, ruleEstimateLimit)));
  cost.total += max;
  if (max > schemaEstimateLimit / 100) cost.rules.push({ field, cost: max });
}

/** The limit of a whole definition's schema. */
export function checkTotal({ total, rules }: EstimatedCost, field: string): FieldError[] {
  if (total <= schemaEstimateLimit) return [];
  const most = [...rules].sort((a, b) => b.cost - a.cost).slice(0, 4);
  return [
    ...most.map((one) =>
      forbiddenError(
        one.field,
        'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema',
      ),
    ),
    forbiddenError(
      field,
      costMessage(
        'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema',
        total,
        schemaEstimateLimit,
      ),
    ),
  ];
}

function costMessage(name: string, cost: number, limit: number): string {
  const times = cost / limit;
  const factor = times > 100 ? 'more than 100x' : times < 1.5 ? `${times.toFixed(6)}x` : `${times.toFixed(1)}x`;
  return `${name} exceeds budget by factor of ${factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}

/** A rule as upstream shows it in errors: with the names of its own type. */
function shownRule(rule: ValidationRule): object {
  return {
    Rule: rule.rule,
    Message: rule.message ?? '',
    MessageExpression: rule.messageExpression ?? '',
    Reason: rule.reason ?? null,
    FieldPath: rule.fieldPath ?? '',
    OptionalOldSelf: rule.optionalOldSelf ?? null,
  };
}

// ---------------------------------------------------------------- objects

/** The rules of a schema and of all below it, compiled; parts without rules are left out. */
interface RuleNode {
  readonly schema: JSONSchemaProps;
  readonly type: CelType | undefined;
  readonly rules: readonly CompiledRule[];
  readonly problems: readonly string[];
  readonly items: RuleNode | undefined;
  readonly values: RuleNode | undefined;
  readonly properties: ReadonlyMap<string, RuleNode>;
}

function compileNode(schema: JSONSchemaProps, isRoot: boolean): RuleNode | undefined {
  const type =
    (schema['x-kubernetes-validations']?.length ?? 0) === 0 ? undefined : typeOfSchema(schema, isRoot, 'self');
  const rules: CompiledRule[] = [];
  const problems: string[] = [];
  for (const rule of type === undefined ? [] : (schema['x-kubernetes-validations'] ?? [])) {
    const result = compileRule(rule, type as CelType, schema);
    if (result.compiled !== undefined) rules.push(result.compiled);
    else problems.push(...result.problems.map(({ detail }) => detail));
  }
  const properties = new Map<string, RuleNode>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const node = compileNode(property, false);
    if (node !== undefined) properties.set(name, node);
  }
  const below = (one: JSONSchemaProps | undefined): RuleNode | undefined =>
    one === undefined ? undefined : compileNode(one, false);
  const items = below(itemsOf(schema));
  const values = below(valuesOf(schema));
  if (
    rules.length === 0 &&
    problems.length === 0 &&
    properties.size === 0 &&
    items === undefined &&
    values === undefined
  )
    return undefined;
  return { schema, type, rules, problems, items, values, properties };
}

/** Judges objects of a custom resource by the rules of its schema. */
export interface RuleValidator {
  /** `old` is what the object replaces: transition rules see it, and what did not change is not held against it. */
  validate(object: unknown, old?: unknown): FieldError[];
}

/** Compiles all rules of a schema, of a whole object unless `isRoot` is false, once. Undefined when it has none that can run. */
export function compileRules(schema: JSONSchemaProps, isRoot = true): RuleValidator | undefined {
  const root = compileNode(schema, isRoot);
  if (root === undefined) return undefined;
  return {
    validate(object, old) {
      const run = new RuleRun();
      run.node(root, { value: object, old, field: '', unchanged: isUnchanged(object, old) });
      return run.found;
    },
  };
}

interface Place {
  readonly value: unknown;
  /** Undefined: there was none, or it cannot be told which it was. */
  readonly old: unknown;
  readonly field: string;
  /** Whether the value, or what it lies in where that is the nearest that can be told, is as it was. */
  readonly unchanged: () => boolean;
}

function isUnchanged(value: unknown, old: unknown): () => boolean {
  let known: boolean | undefined;
  return () => (known ??= old !== undefined && deepEqual(value, old));
}

class RuleRun {
  readonly found: FieldError[] = [];
  #budget = objectBudget;
  #over = false;

  node(node: RuleNode, place: Place): void {
    const { value } = place;
    if (this.#over || value === null || value === undefined) return;
    for (const problem of node.problems) this.#invalid(place.field, node.schema, `rule compile error: ${problem}`);
    for (const rule of node.rules) {
      if (this.#over) return;
      this.#rule(rule, node, place);
    }
    if (Array.isArray(value)) {
      const { items } = node;
      if (items === undefined) return;
      const oldOf = oldItems(node.schema, place.old);
      value.forEach((item, index) => {
        this.node(items, this.#below(place, item, oldOf?.(item), `${place.field}[${index}]`, oldOf !== undefined));
      });
    } else if (typeof value === 'object') {
      for (const [name, one] of Object.entries(value)) {
        const property = node.properties.get(name);
        const below = property ?? node.values;
        if (below === undefined) continue;
        const field =
          property === undefined ? `${place.field}[${name}]` : place.field === '' ? name : `${place.field}.${name}`;
        const old = oldField(node.schema, place.old, name);
        this.node(
          below,
          this.#below(
            place,
            one,
            old,
            field,
            node.schema['x-kubernetes-map-type'] !== 'atomic' && place.old !== undefined,
          ),
        );
      }
    }
  }

  #below(parent: Place, value: unknown, old: unknown, field: string, told: boolean): Place {
    return { value, old, field, unchanged: told ? isUnchanged(value, old) : parent.unchanged };
  }

  #invalid(field: string, schema: JSONSchemaProps, detail: string): void {
    this.found.push(invalidError(shownField(field), schema.type ?? '', detail));
  }

  /** Takes what a run has cost; false when that was too much for the object. */
  #spend({ cost }: Outcome): boolean {
    if (cost > this.#budget) return false;
    this.#budget -= cost;
    return true;
  }

  #rule(compiled: CompiledRule, node: RuleNode, place: Place): void {
    const { rule, program, usesOldSelf } = compiled;
    const { schema, type } = node;
    const optional = rule.optionalOldSelf === true;
    const hasOld = place.old !== undefined && place.old !== null;
    if (usesOldSelf && !hasOld && !optional) return;
    const activation = {
      get: (name: string) => {
        if (name === 'self') return valueOf(place.value, type);
        if (name !== 'oldSelf') return undefined;
        if (!optional) return hasOld ? valueOf(place.old, type) : undefined;
        return hasOld ? new Optional(valueOf(place.old, type)) : Optional.none;
      },
    };
    const outcome = program.run(activation);
    const shown = rule.message !== undefined && rule.message !== '' ? rule.message.trim() : rule.rule.trim();
    if (outcome.error instanceof CostExceeded) {
      this.#over = true;
      this.#invalid(
        place.field,
        schema,
        `'${outcome.error.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${shown}`,
      );
      return;
    }
    if (!this.#spend(outcome)) {
      this.#over = true;
      this.#invalid(
        place.field,
        schema,
        'validation failed due to running out of cost budget, no further validation rules will be run',
      );
      return;
    }
    if (outcome.error !== undefined) {
      const { message } = outcome.error;
      this.#invalid(
        place.field,
        schema,
        message.startsWith('no such overload')
          ? `'${message}': call arguments did not match a supported operator, function or macro signature for rule: ${shown}`
          : `${message} evaluating rule: ${shown}`,
      );
      return;
    }
    if (outcome.value === true) return;
    // What was wrong before and did not change is not this request's fault.
    if (!usesOldSelf && place.unchanged()) return;
    const field = compiled.fieldPath === undefined ? place.field : joined(place.field, compiled.fieldPath);
    const detail = this.#message(compiled, activation, field, schema);
    if (detail === undefined) return;
    this.found.push(errorFor(shownField(field), schema.type ?? '', detail, rule.reason));
  }

  /** The text of a failed rule; undefined when the attempt ended everything, which then is an error already. */
  #message(
    { rule, message }: CompiledRule,
    activation: Parameters<Program['run']>[0],
    field: string,
    schema: JSONSchemaProps,
  ): string | undefined {
    const plain =
      rule.message !== undefined && rule.message !== '' ? rule.message.trim() : `failed rule: ${rule.rule.trim()}`;
    if (message === undefined) return plain;
    const outcome = message.run(activation);
    if (outcome.error instanceof CostExceeded || !this.#spend(outcome)) {
      this.#over = true;
      this.#invalid(
        field,
        schema,
        outcome.error instanceof CostExceeded
          ? `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${JSON.stringify(rule.messageExpression)}`
          : 'messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run',
      );
      return undefined;
    }
    const text = typeof outcome.value === 'string' ? outcome.value.trim() : '';
    const usable = text !== '' && !text.includes('\n') && Buffer.byteLength(text) <= longestMessageBytes;
    return usable ? text : plain;
  }
}

/** The whole object has no path; upstream shows that so. */
const shownField = (field: string): string => (field === '' ? '<nil>' : field);

function joined(field: string, below: string): string {
  if (field === '') return below;
  return below.startsWith('[') ? `${field}${below}` : `${field}.${below}`;
}

function errorFor(field: string, value: string, detail: string, reason: string | undefined): FieldError {
  switch (reason) {
    case 'FieldValueForbidden':
      return forbiddenError(field, detail);
    case 'FieldValueRequired':
      return requiredError(field, detail);
    case 'FieldValueDuplicate':
      return duplicateError(field, value);
    default:
      return invalidError(field, value, detail);
  }
}
