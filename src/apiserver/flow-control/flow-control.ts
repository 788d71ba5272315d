import type { FlowSchema, PriorityLevelConfiguration } from '#api';
import type { Clock, HistogramSeries, MetricRegistry, MetricSeries } from '#base';
import type { Identity } from '#wire';
import { isLongRunning } from '../http/long-running.ts';
import type { Link, RequestInfo, ServerRequest } from '../contract.ts';
import { defaultFlowSchemas, defaultPriorityLevels } from './default-objects.ts';
import { flowHash, type LevelLimits, PriorityLevel, type SeatWatcher, Seats } from './priority-level.ts';
import { type AskMatch, compileSchema, type SchemaMatch } from './schema-match.ts';

export interface FlowControlOptions {
  readonly clock: Clock;
  readonly registry: MetricRegistry;
  /** Requests that are worked on at once; default 600, upstream's 400 and 200 for changes. */
  readonly seats?: number;
}

const defaultSeats = 600;

/** A FlowSchema at work. */
interface Schema {
  readonly name: string;
  readonly match: SchemaMatch;
  readonly level: PriorityLevel;
  readonly byNamespace: boolean | undefined;
  /** For headers of answers; absent for what is not an object yet. */
  readonly uids: { readonly schema: string; readonly level: string } | undefined;
  readonly dispatched: MetricSeries;
  readonly executing: MetricSeries;
  readonly inQueue: MetricSeries;
  readonly waited: HistogramSeries;
  readonly gaveUp: HistogramSeries;
}

const nobodyAborts = (): (() => void) => () => {};

/**
 * Gives each request a place by the FlowSchemas and PriorityLevelConfigurations of the cluster: the first schema that takes it names
 * its level, and a level has seats and queues. Long-running requests and those from inside this process hold no seat.
 */
export class FlowControl {
  readonly #clock: Clock;
  readonly #seats: Seats;
  readonly #levels = new Map<string, PriorityLevel>();
  readonly #metrics: ReturnType<typeof flowMetrics>;
  readonly #queued: Record<'mutating' | 'readOnly', MetricSeries>;
  #schemas: readonly Schema[] = [];
  /** The schemas that may take a caller's requests: authenticators give the same object for the same credentials, mostly. */
  #candidates = new WeakMap<Identity, readonly { readonly schema: Schema; readonly ask: AskMatch }[]>();

  constructor(options: FlowControlOptions) {
    this.#clock = options.clock;
    this.#seats = new Seats(options.seats ?? defaultSeats);
    this.#metrics = flowMetrics(options.registry);
    const { queued } = this.#metrics;
    this.#queued = { mutating: queued.of('mutating'), readOnly: queued.of('readOnly') };
    this.use(defaultFlowSchemas, defaultPriorityLevels);
  }

  /** Goes by these objects from now on. A schema whose level there is not takes nothing. */
  use(schemas: readonly FlowSchema[], levels: readonly PriorityLevelConfiguration[]): void {
    const uids = this.#useLevels(levels);
    const { dispatched, executing, inQueue, waited } = this.#metrics;
    const precedence = ({ spec }: FlowSchema): number => spec?.matchingPrecedence ?? 1000;
    this.#candidates = new WeakMap();
    this.#schemas = [...schemas]
      .sort((a, b) => precedence(a) - precedence(b) || (a.metadata.name < b.metadata.name ? -1 : 1))
      .flatMap((one) => {
        const { name, uid } = one.metadata;
        const level = this.#levels.get(one.spec?.priorityLevelConfiguration?.name ?? '');
        if (level === undefined) return [];
        const type = one.spec?.distinguisherMethod?.type;
        const levelUid = uids.get(level.name);
        const labels = [name, level.name] as const;
        return {
          name,
          level,
          match: compileSchema(one),
          byNamespace: type === undefined ? undefined : type === 'ByNamespace',
          uids: uid && levelUid ? { schema: uid, level: levelUid } : undefined,
          dispatched: dispatched.of(...labels),
          executing: executing.of(...labels),
          inQueue: inQueue.of(...labels),
          waited: waited.of('true', ...labels),
          gaveUp: waited.of('false', ...labels),
        };
      });
  }

  #useLevels(levels: readonly PriorityLevelConfiguration[]): Map<string, string> {
    const sharesOf = ({ spec }: PriorityLevelConfiguration): number =>
      spec?.limited?.nominalConcurrencyShares ?? spec?.exempt?.nominalConcurrencyShares ?? 0;
    const all = levels.reduce((sum, one) => sum + sharesOf(one), 0);
    const uids = new Map<string, string>();
    const { nominalSeats } = this.#metrics;
    nominalSeats.clear();
    for (const one of levels) {
      const { name, uid } = one.metadata;
      if (uid) uids.set(name, uid);
      const nominal = all === 0 ? 0 : Math.ceil((this.#seats.total * sharesOf(one)) / all);
      nominalSeats.set(nominal, name);
      const limits = limitsOf(one, nominal);
      const known = this.#levels.get(name);
      if (known === undefined)
        this.#levels.set(name, new PriorityLevel({ name, limits, seats: this.#seats, clock: this.#clock }));
      else known.limits = limits;
    }
    const named = new Set(levels.map((one) => one.metadata.name));
    for (const [name, level] of this.#levels) {
      if (named.has(name)) continue;
      level.close();
      this.#levels.delete(name);
    }
    return uids;
  }

  readonly link: Link = async (request, next) => {
    if (request.source.trusted !== undefined) return next(request);
    const schema = this.#schemaOf(request.identity, request.info);
    if (schema === undefined) return next(request);
    if (schema.uids !== undefined) request.flow = schema.uids;
    if (isLongRunning(request.info)) return next(request);
    const { level } = schema;
    const { limits } = level;
    if (!limits.exempt) {
      const wait = level.enter({
        flow: () => flowHash(schema.name, distinguisherOf(schema, request)),
        onAbort: request.onAbort?.bind(request) ?? nobodyAborts,
        watcher: this.#watcher(schema, request),
      });
      if (wait !== undefined) {
        const sinceMs = this.#clock.monotonicMs();
        await wait;
        request.waitedMs = (request.waitedMs ?? 0) + this.#clock.monotonicMs() - sinceMs;
      }
    } else level.executing++;
    schema.dispatched.value++;
    schema.executing.value++;
    try {
      return await next(request);
    } finally {
      schema.executing.value--;
      level.leave();
    }
  };

  #schemaOf(identity: Identity, info: RequestInfo): Schema | undefined {
    let candidates = this.#candidates.get(identity);
    if (candidates === undefined) {
      candidates = this.#schemas.flatMap((schema) => {
        const ask = schema.match(identity);
        return ask === undefined ? [] : [{ schema, ask }];
      });
      this.#candidates.set(identity, candidates);
    }
    for (const { schema, ask } of candidates) if (ask(info)) return schema;
    return undefined;
  }

  #watcher(schema: Schema, { method }: ServerRequest): SeatWatcher {
    const queued = this.#queued[method === 'GET' || method === 'HEAD' ? 'readOnly' : 'mutating'];
    return {
      waits() {
        schema.inQueue.value++;
        queued.value++;
      },
      ends: ({ rejected, waitedMs }) => {
        if (waitedMs !== undefined) {
          schema.inQueue.value--;
          queued.value--;
          (rejected === undefined ? schema.waited : schema.gaveUp).observe(waitedMs / 1000);
        }
        if (rejected !== undefined) this.#metrics.rejected.add(1, schema.name, schema.level.name, rejected);
      },
    };
  }
}

function limitsOf({ spec }: PriorityLevelConfiguration, nominal: number): LevelLimits {
  const { limited } = spec ?? {};
  if (spec?.type === 'Exempt' || limited === undefined || limited === null)
    return { nominal, lendable: 0, exempt: true };
  const part = (percent: number): number => Math.round((nominal * percent) / 100);
  const { queuing, type } = limited.limitResponse ?? {};
  return {
    nominal,
    lendable: part(limited.lendablePercent ?? 0),
    exempt: false,
    ...(limited.borrowingLimitPercent === undefined || limited.borrowingLimitPercent === null
      ? {}
      : { borrowing: part(limited.borrowingLimitPercent) }),
    ...(type !== 'Queue'
      ? {}
      : {
          queuing: {
            queues: queuing?.queues ?? 64,
            handSize: queuing?.handSize ?? 8,
            lengthLimit: queuing?.queueLengthLimit ?? 50,
          },
        }),
  };
}

function distinguisherOf({ byNamespace }: Schema, { identity, info }: ServerRequest): string {
  if (byNamespace === undefined) return '';
  return byNamespace ? info.namespace : identity.user;
}

function flowMetrics(registry: MetricRegistry) {
  const labels = ['flow_schema', 'priority_level'];
  const name = (rest: string): string => `apiserver_flowcontrol_${rest}`;
  return {
    dispatched: registry.counter({
      name: name('dispatched_requests_total'),
      help: 'Requests that got a seat.',
      labels,
    }),
    rejected: registry.counter({
      name: name('rejected_requests_total'),
      help: 'Requests that were refused, by why.',
      labels: [...labels, 'reason'],
    }),
    executing: registry.gauge({ name: name('current_executing_requests'), help: 'Requests that have a seat.', labels }),
    inQueue: registry.gauge({ name: name('current_inqueue_requests'), help: 'Requests that wait for a seat.', labels }),
    waited: registry.histogram({
      name: name('request_wait_duration_seconds'),
      help: 'Time that requests waited for a seat, those that found one at once left out.',
      labels: ['execute', ...labels],
      buckets: [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30],
    }),
    nominalSeats: registry.gauge({
      name: name('nominal_limit_seats'),
      help: 'Seats of a priority level.',
      labels: ['priority_level'],
    }),
    queued: registry.gauge({
      name: 'apiserver_current_inqueue_requests',
      help: 'Requests that wait for a seat, by kind.',
      labels: ['request_kind'],
    }),
  };
}
