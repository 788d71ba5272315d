import type {
  AnyObject,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '#api';
import { ApiError, deepEqual } from '#machinery';
import type { AdmissionAttributes, AdmissionPlugin, ObjectView } from '../../contract.ts';
import { seenAs } from '../equivalent.ts';
import type { AdmissionOptions } from '../options.ts';
import { refuse } from '../refuse.ts';
import type { CompiledMutatingPolicy, CompiledValidatingPolicy, Decision } from './compiled-policy.ts';
import { isExempt, type Matcher, matcherOf, namespaceOf, requestKindOf } from './matching.ts';
import { ConfigurationError, paramsFor } from './params.ts';

const group = 'admissionregistration.k8s.io/v1';

type Policy = ValidatingAdmissionPolicy | MutatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding;

interface BoundPolicy<P extends Policy, B extends Binding, C> {
  readonly policy: P;
  readonly matcher: Matcher;
  readonly bindings: readonly { readonly binding: B; readonly matcher: Matcher }[];
  compiled: C | undefined;
}

interface Applicable<P extends Policy, B extends Binding, C> {
  readonly bound: BoundPolicy<P, B, C>;
  readonly bindings: readonly B[];
  /** In which the policy sees the request. */
  readonly version: string;
}

/** Policies with their bindings, kept by the watch caches; compiled when a request first meets one. */
class PolicyIndex<P extends Policy, B extends Binding, C> {
  readonly #options: AdmissionOptions;
  readonly #policies: ObjectView;
  readonly #bindings: ObjectView;
  readonly #compile: (policy: P) => Promise<C>;
  readonly #compiled = new WeakMap<AnyObject, C>();
  readonly namespaces: ObjectView;
  #known: { readonly generations: string; readonly bound: readonly BoundPolicy<P, B, C>[] } | undefined;

  constructor(options: AdmissionOptions, plural: string, compile: (policy: P) => Promise<C>) {
    this.#options = options;
    this.#policies = options.objects.view(group, plural);
    this.#bindings = options.objects.view(group, `${plural.replace(/ies$/, 'y')}bindings`);
    this.#compile = compile;
    this.namespaces = options.objects.view('v1', 'namespaces');
  }

  readonly handles: NonNullable<AdmissionPlugin['handles']> = (operation, definition, subresource) => {
    if (definition === undefined) return false;
    const { group: ofKind, version, plural: resource, namespaced } = definition.resource;
    if (isExempt(ofKind, resource)) return false;
    if (!this.#policies.isReady || !this.#bindings.isReady) return true;
    const bound = this.#bound();
    if (bound.length === 0) return false;
    const request = { operation, group: ofKind, version, resource, subresource, namespaced };
    return bound.some(({ matcher }) => matcher.fits(request));
  };

  #bound(): readonly BoundPolicy<P, B, C>[] {
    const generations = `${this.#policies.generation}/${this.#bindings.generation}`;
    if (this.#known?.generations === generations) return this.#known.bound;
    const { objects } = this.#options;
    const bindings = this.#bindings.list() as unknown as readonly B[];
    const bound = byName(this.#policies.list()).flatMap((policy) => {
      const own = byName(bindings as unknown as readonly AnyObject[]) as unknown as readonly B[];
      const mine = own.filter(({ spec }) => spec?.policyName === policy.metadata.name);
      if (mine.length === 0) return [];
      return {
        policy: policy as unknown as P,
        matcher: matcherOf((policy as unknown as P).spec?.matchConstraints, objects),
        bindings: mine.map((binding) => ({ binding, matcher: matcherOf(binding.spec?.matchResources, objects) })),
        compiled: this.#compiled.get(policy),
      };
    });
    this.#known = { generations, bound };
    return bound;
  }

  /** The policies that a request is subject to, each with the bindings that match it. */
  async applicable(attributes: AdmissionAttributes): Promise<readonly Applicable<P, B, C>[]> {
    const views = [this.#policies, this.#bindings, this.namespaces];
    if (views.some((one) => !one.isReady)) await Promise.all(views.map((one) => one.ready));
    const request = requestKindOf(attributes);
    return this.#bound().flatMap((bound) => {
      const version = bound.matcher.matches(attributes, request, this.namespaces);
      if (version === undefined) return [];
      const bindings = bound.bindings
        .filter(({ matcher }) => matcher.matches(attributes, request, this.namespaces) !== undefined)
        .map(({ binding }) => binding);
      return bindings.length === 0 ? [] : [{ bound, bindings, version }];
    });
  }

  async compiled(bound: BoundPolicy<P, B, C>): Promise<C> {
    if (bound.compiled === undefined) {
      bound.compiled = await this.#compile(bound.policy);
      this.#compiled.set(bound.policy as unknown as AnyObject, bound.compiled);
    }
    return bound.compiled;
  }
}

function byName(objects: readonly AnyObject[]): readonly AnyObject[] {
  return [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

const codes: Readonly<Record<string, number>> = {
  Forbidden: 403,
  Unauthorized: 401,
  RequestEntityTooLarge: 413,
  Invalid: 422,
};

/** A refusal with the reason that the policy gives. */
function denial(attributes: AdmissionAttributes, message: string, reason: string): ApiError {
  const { status } = refuse(attributes, message);
  return new ApiError({
    ...status,
    reason,
    code: codes[reason] ?? 422,
    details: { ...status.details, causes: [...(status.details?.causes ?? []), { message }] },
  });
}

interface Denial {
  readonly message: string;
  readonly reason: string;
}

/** So many failed validations are told in one audit event, as upstream. */
const mostFailures = 50;
const failureAnnotation = 'validation.policy.admission.k8s.io/validation_failure';

/** ValidatingAdmissionPolicies: the first denial, in the order of policies and bindings by name, is the answer. */
export function validatingPolicies(options: AdmissionOptions): AdmissionPlugin {
  const index = new PolicyIndex<ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, CompiledValidatingPolicy>(
    options,
    'validatingadmissionpolicies',
    async (policy) => new (await import('./compiled-policy.ts')).CompiledValidatingPolicy(policy),
  );
  return {
    name: 'ValidatingAdmissionPolicy',
    handles: index.handles,
    async validate(attributes) {
      const denials: Denial[] = [];
      const failures: object[] = [];
      for (const { bound, bindings, version } of await index.applicable(attributes)) {
        const { policy } = bound;
        const seen = await seenAs(attributes, version, options.objects);
        const name = policy.metadata.name;
        const annotations = new Map<string, Set<string>>();
        for (const binding of bindings) {
          const by = `ValidatingAdmissionPolicy '${name}' with binding '${binding.metadata.name}'`;
          try {
            const compiled = await index.compiled(bound);
            for (const params of await paramsFor(questionOf(options, policy, binding, attributes))) {
              const namespace = namespaceOf(attributes, index.namespaces);
              const { authorizer } = options;
              const verdict = await compiled.validate({ attributes: seen.attributes, params, namespace, authorizer });
              for (const decision of verdict.denied) enforce({ decision, binding, by, attributes, denials, failures });
              for (const message of verdict.failed)
                denials.push({ message: `${by} denied request: ${message}`, reason: 'Invalid' });
              for (const [key, value] of verdict.annotations)
                annotations.set(key, (annotations.get(key) ?? new Set()).add(value));
            }
          } catch (error) {
            if (!(error instanceof ConfigurationError)) throw error;
            if (policy.spec?.failurePolicy !== 'Ignore') denials.push(configurationDenial(error, name, by));
          }
        }
        for (const [key, values] of annotations) attributes.annotate(`${name}/${key}`, [...values].join(', '));
      }
      if (failures.length > 0) attributes.annotate(failureAnnotation, JSON.stringify(failures.slice(0, mostFailures)));
      const [first] = denials;
      if (first !== undefined) throw denial(attributes, first.message, first.reason);
    },
  };
}

function configurationDenial(error: ConfigurationError, name: string, by: string): Denial {
  const message = error.ofBinding
    ? `${by} denied request: failed to configure binding: ${error.message}`
    : `ValidatingAdmissionPolicy '${name}' denied request: failed to configure policy: ${error.message}`;
  return { message, reason: 'Invalid' };
}

function questionOf(options: AdmissionOptions, policy: Policy, binding: Binding, attributes: AdmissionAttributes) {
  return {
    objects: options.objects,
    kind: policy.spec?.paramKind,
    reference: binding.spec?.paramRef,
    namespace: attributes.namespace,
  };
}

/** Does with a failed validation what the binding says. */
function enforce(what: {
  readonly decision: Decision;
  readonly binding: ValidatingAdmissionPolicyBinding;
  readonly by: string;
  readonly attributes: AdmissionAttributes;
  readonly denials: Denial[];
  readonly failures: object[];
}): void {
  const { decision, binding, by, attributes, denials, failures } = what;
  const { message, reason, index } = decision;
  const actions = binding.spec?.validationActions ?? [];
  for (const action of actions) {
    if (action === 'Deny') denials.push({ message: `${by} denied request: ${message}`, reason });
    else if (action === 'Warn') attributes.warn(`Validation failed for ${by}: ${message}`);
    else if (action === 'Audit')
      failures.push({
        message,
        policy: binding.spec?.policyName,
        binding: binding.metadata.name,
        expressionIndex: index,
        validationActions: actions,
      });
  }
}

type MutatingIndex = PolicyIndex<MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, CompiledMutatingPolicy>;
type MutatingMatch = Applicable<MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, CompiledMutatingPolicy>;

/** What the mutating policies left of a request's object; whoever changes it later makes some of them run again. */
const leftBy = new WeakMap<
  AdmissionAttributes,
  { readonly object: AnyObject; readonly again: readonly MutatingMatch[] }
>();

async function runMutations(
  options: AdmissionOptions,
  index: MutatingIndex,
  match: MutatingMatch,
  attributes: AdmissionAttributes,
): Promise<void> {
  const { bound, bindings, version } = match;
  const { mutateDraft } = await import('./mutations.ts');
  const compiled = await index.compiled(bound);
  for (const binding of bindings) {
    const by = `policy '${bound.policy.metadata.name}' with binding '${binding.metadata.name}' denied request`;
    let failure: string | undefined;
    try {
      for (const params of await paramsFor(questionOf(options, bound.policy, binding, attributes))) {
        const namespace = namespaceOf(attributes, index.namespaces);
        if (failure !== undefined) break;
        const seen = await seenAs(attributes, version, options.objects);
        const { authorizer } = options;
        failure = await mutateDraft(compiled, { attributes: seen.attributes, params, namespace, authorizer });
        if (failure === undefined) await seen.back();
      }
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      failure = `failed to configure ${error.ofBinding ? 'binding' : 'policy'}: ${error.message}`;
    }
    if (failure !== undefined && compiled.fails) throw denial(attributes, `${by}: ${failure}`, 'Invalid');
  }
}

/**
 * MutatingAdmissionPolicies, by name; those that ask for it once more when a later one has changed the object. The second plugin goes
 * after the webhooks: it runs them again when those have changed it.
 */
export function mutatingPolicies(options: AdmissionOptions): readonly [first: AdmissionPlugin, again: AdmissionPlugin] {
  const index: MutatingIndex = new PolicyIndex(
    options,
    'mutatingadmissionpolicies',
    async (policy) => new (await import('./compiled-policy.ts')).CompiledMutatingPolicy(policy),
  );
  const handles: NonNullable<AdmissionPlugin['handles']> = (operation, definition, subresource) =>
    (operation === 'CREATE' || operation === 'UPDATE') && index.handles(operation, definition, subresource);
  return [
    {
      name: 'MutatingAdmissionPolicy',
      handles,
      async mutate(attributes) {
        // A later round is the second plugin's.
        if (attributes.object === undefined || attributes.reinvocation.round === 1) return;
        const matches = await index.applicable(attributes);
        if (matches.length === 0) return;
        const again = matches.filter(({ bound }) => bound.policy.spec?.reinvocationPolicy === 'IfNeeded');
        const after: AnyObject[] = [];
        for (const match of matches) {
          await runMutations(options, index, match, attributes);
          after.push(structuredClone(attributes.object));
        }
        for (const match of again) {
          const own = after[matches.indexOf(match)];
          if (!deepEqual(own, attributes.object)) await runMutations(options, index, match, attributes);
        }
        if (again.length > 0) leftBy.set(attributes, { object: structuredClone(attributes.object), again });
      },
    },
    {
      name: 'MutatingAdmissionPolicyReinvocation',
      handles,
      async mutate(attributes) {
        const left = leftBy.get(attributes);
        if (left === undefined || deepEqual(left.object, attributes.object)) return;
        leftBy.delete(attributes);
        for (const match of left.again) await runMutations(options, index, match, attributes);
      },
    },
  ];
}
