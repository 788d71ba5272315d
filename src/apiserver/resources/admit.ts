import type { AnyObject } from '#api';
import type { KindDefinition } from '#kinds';
import type { AdmissionAttributes, AdmissionOperation, AdmissionPlugin, ServerRequest } from '../contract.ts';
import type { MeasureName, Measures } from '../http/measures.ts';
import type { ResourceContext } from './context.ts';

export interface AdmitOptions {
  readonly context: ResourceContext;
  readonly request: ServerRequest;
  readonly operation: AdmissionOperation;
  readonly definition: KindDefinition | undefined;
  /** When it is not the definition's: the kind of a sub-resource's body. */
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
  readonly subresource?: string;
  readonly object: AnyObject | undefined;
  readonly oldObject?: AnyObject | undefined;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly dryRun: boolean;
  readonly name?: string;
}

/** One request's way through the admission plugins that care for it. */
export interface Admission {
  /** True when some plugin may have changed the object. */
  readonly mutates: boolean;
  mutate(): Promise<void>;
  validate(): Promise<void>;
}

const nothingToDo: Admission = { mutates: false, mutate: async () => {}, validate: async () => {} };

/** Undefined-cheap when no plugin handles the request. */
export function admit(options: AdmitOptions): Admission {
  const { context, operation, definition, request } = options;
  const subresource = options.subresource ?? request.info.subresource;
  const plugins: AdmissionPlugin[] = [];
  for (const one of context.admission) {
    if (one.handles === undefined || one.handles(operation, definition, subresource)) plugins.push(one);
  }
  return plugins.length === 0 ? nothingToDo : new PluginRun(plugins, attributesFor(options, subresource), options);
}

type Step = 'mutate' | 'validate';

/** Those whose time is that of other programs. */
const foreignPlugins = new Set(['MutatingAdmissionWebhook', 'ValidatingAdmissionWebhook']);

interface Measured {
  readonly step: Step;
  readonly rejected: boolean;
  readonly beganMs: number;
  readonly name?: string;
}

class PluginRun implements Admission {
  readonly #plugins: readonly AdmissionPlugin[];
  readonly #attributes: AdmissionAttributes;
  readonly #measures: Measures | undefined;
  readonly #request: ServerRequest;

  constructor(
    plugins: readonly AdmissionPlugin[],
    attributes: AdmissionAttributes,
    { context, request }: Pick<AdmitOptions, 'context' | 'request'>,
  ) {
    this.#plugins = plugins;
    this.#attributes = attributes;
    this.#measures = context.measures;
    this.#request = request;
  }

  get mutates(): boolean {
    return this.#plugins.some((one) => one.mutate !== undefined && one.readOnly !== true);
  }

  async mutate(): Promise<void> {
    await this.#runAll('mutate');
    const { reinvocation } = this.#attributes;
    if (!reinvocation.needed) return;
    reinvocation.round = 1;
    await this.#runAll('mutate');
  }

  validate(): Promise<void> {
    return this.#runAll('validate');
  }

  async #runAll(step: Step): Promise<void> {
    const beganMs = this.#measures?.clock.monotonicMs() ?? 0;
    let rejected = true;
    try {
      for (const plugin of this.#plugins) {
        const done = plugin[step]?.(this.#attributes);
        if (done !== undefined) await this.#waited(plugin.name, step, done);
      }
      rejected = false;
    } finally {
      this.#observe('apiserver_admission_step_admission_duration_seconds', { step, rejected, beganMs });
    }
  }

  /** A plugin that waits for something is measured by itself; the others take no time worth it. */
  async #waited(name: string, step: Step, done: Promise<void>): Promise<void> {
    const beganMs = this.#measures?.clock.monotonicMs() ?? 0;
    let rejected = true;
    try {
      await done;
      rejected = false;
    } finally {
      this.#observe('apiserver_admission_controller_admission_duration_seconds', { step, rejected, beganMs, name });
      if (this.#measures !== undefined && foreignPlugins.has(name))
        this.#request.waitedMs = (this.#request.waitedMs ?? 0) + this.#measures.clock.monotonicMs() - beganMs;
    }
  }

  #observe(metric: MeasureName, { step, rejected, beganMs, name }: Measured): void {
    const measures = this.#measures;
    if (measures === undefined) return;
    const type = step === 'mutate' ? 'admit' : 'validate';
    const labels = `type="${type}",operation="${this.#attributes.operation}",rejected="${rejected}"`;
    const seconds = (measures.clock.monotonicMs() - beganMs) / 1000;
    measures.observe(metric, name === undefined ? labels : `name="${name}",${labels}`, seconds);
  }
}

function attributesFor(options: AdmitOptions, subresource: string): AdmissionAttributes {
  const { operation, definition, object, oldObject, dryRun, request } = options;
  const { info } = request;
  const resource = definition?.resource;
  return {
    operation,
    identity: request.identity,
    definition,
    group: options.kind?.group ?? resource?.group ?? info.group,
    version: options.kind?.version ?? resource?.version ?? info.version,
    kind: options.kind?.kind ?? resource?.kind ?? '',
    resource: resource?.plural ?? info.resource,
    subresource,
    namespace: resource?.namespaced === false && resource.plural !== 'namespaces' ? '' : info.namespace,
    get name() {
      return options.name ?? object?.metadata?.name ?? info.name;
    },
    object,
    oldObject,
    options: options.options ?? {},
    dryRun,
    warn(text) {
      if (!request.warnings.includes(text)) request.warnings.push(text);
    },
    annotate(key, value, level) {
      if (level === undefined || request.audited !== undefined) request.annotations.set(key, value);
    },
    reinvocation: { needed: false, round: 0 },
  };
}
