import { apiVersionOf, builtinSchema, type ValidatingAdmissionPolicy } from '#api';
import type { Log } from '#base';
import { messageOf } from '#base';
import type { KindDefinition } from '#kinds';
import { cloneObject } from '#machinery';
import type { ObjectView, ServerObjects } from '../../contract.ts';

const collection = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
const mostKinds = 10;
const attempts = 5;

/** Keeps `status.typeChecking` of ValidatingAdmissionPolicies: what their expressions have against the kinds that they match. */
export class PolicyTypeChecking {
  readonly #objects: ServerObjects;
  readonly #view: ObjectView;
  readonly #log: Log;
  readonly #working = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  readonly #forget: () => void;
  #closed = false;

  constructor(objects: ServerObjects, log: Log) {
    this.#objects = objects;
    this.#log = log;
    this.#view = objects.view('admissionregistration.k8s.io/v1', 'validatingadmissionpolicies');
    this.#forget = this.#view.onChange(({ object }) => {
      if (object !== undefined) this.#wake(object.metadata.name);
    });
  }

  /** Looks at what is stored already. */
  async start(): Promise<void> {
    await this.#view.ready;
    for (const one of this.#view.list()) this.#wake(one.metadata.name);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#forget();
    await Promise.all(this.#working.values());
  }

  #wake(name: string): void {
    if (this.#closed) return;
    if (this.#working.has(name)) {
      this.#again.add(name);
      return;
    }
    const work = this.#settle(name)
      .catch((error: unknown) =>
        this.#log.warn({ name, error: messageOf(error) }, 'an admission policy could not be type checked'),
      )
      .finally(() => {
        this.#working.delete(name);
        if (this.#again.delete(name)) this.#wake(name);
      });
    this.#working.set(name, work);
  }

  async #settle(name: string): Promise<void> {
    for (let attempt = 0; attempt < attempts && !this.#closed; attempt++) {
      const policy = this.#view.get(undefined, name) as unknown as ValidatingAdmissionPolicy | undefined;
      if (policy === undefined || policy.status?.observedGeneration === policy.metadata.generation) return;
      const warnings = await this.#warnings(policy);
      const draft = cloneObject(policy);
      draft.status = {
        ...draft.status,
        observedGeneration: policy.metadata.generation as number,
        typeChecking: warnings.length === 0 ? {} : { expressionWarnings: warnings },
      };
      const { status } = await this.#objects.transport().request({
        method: 'PUT',
        target: `${collection}/${encodeURIComponent(name)}/status`,
        objectBody: draft,
        objects: true,
        headers: { 'user-agent': 'kube-controller-manager' },
      });
      if (status !== 409) return;
      await this.#view.current();
    }
  }

  async #warnings(policy: ValidatingAdmissionPolicy): Promise<{ fieldRef: string; warning: string }[]> {
    const kinds = this.#kindsOf(policy);
    if (kinds.length === 0) return [];
    const [{ typeOfNode }, { validatingPolicyProblems }] = await Promise.all([
      import('#cel'),
      import('./expression-check.ts'),
    ]);
    const { apiVersion = '', kind = '' } = policy.spec?.paramKind ?? {};
    const [group, version] = apiVersion.includes('/') ? (apiVersion.split('/') as [string, string]) : ['', apiVersion];
    const params = kind === '' ? undefined : this.#objects.kind(group, version, kind);
    const byField = new Map<string, string[]>();
    for (const definition of kinds) {
      const types = {
        object: typeOfNode(nodeOf(definition)),
        ...(params === undefined ? {} : { paramsType: typeOfNode(nodeOf(params)) }),
      };
      for (const { field, detail } of validatingPolicyProblems(policy, types)) {
        const warning = `${apiVersionOf(definition.resource)}, Kind=${definition.resource.kind}: ${detail.replace(/^compilation failed: /, '')}`;
        byField.set(field, [...(byField.get(field) ?? []), warning]);
      }
    }
    return [...byField].map(([fieldRef, texts]) => ({ fieldRef, warning: texts.join('\n') }));
  }

  /** The kinds that the rules name one by one; wildcards are left out. */
  #kindsOf({ spec }: ValidatingAdmissionPolicy): KindDefinition[] {
    const found = new Set<KindDefinition>();
    for (const rule of spec?.matchConstraints?.resourceRules ?? [])
      for (const group of rule.apiGroups ?? [])
        for (const version of rule.apiVersions ?? [])
          for (const resource of rule.resources ?? []) {
            if ([group, version, resource].some((one) => one.includes('*')) || resource.includes('/')) continue;
            const definition = this.#objects.definition(group, resource, version);
            if (definition !== undefined && found.size < mostKinds) found.add(definition);
          }
    return [...found];
  }
}

function nodeOf(definition: KindDefinition) {
  return definition.schema ?? builtinSchema.type(definition.resource.typeName as string);
}
