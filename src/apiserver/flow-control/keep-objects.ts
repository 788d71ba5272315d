import { apiVersionOf, type FlowSchema, type PriorityLevelConfiguration, type Status } from '#api';
import { type Clock, type Closable, type Log, messageOf, rfc3339, type Timer } from '#base';
import { apiErrorFromStatus, deepEqual } from '#machinery';
import type { ServerObjects } from '../contract.ts';
import { put } from '../bootstrap/put.ts';
import {
  autoUpdateAnnotation,
  defaultFlowSchemas,
  defaultPriorityLevels,
  flowSchemas,
  mandatoryNames,
  priorityLevels,
} from './default-objects.ts';
import type { FlowControl } from './flow-control.ts';

export interface KeepObjectsOptions {
  readonly objects: ServerObjects;
  readonly control: FlowControl;
  readonly clock: Clock;
  readonly log: Log;
}

/** The server has more urgent things to do when it starts. */
const firstMs = 400;
const settleMs = 100;
const retryMs = 5_000;
const userAgent = 'api-priority-and-fairness-config-producer-v1';

/**
 * Makes upstream's FlowSchemas and PriorityLevelConfigurations, keeps those that must be and those that say `autoupdate-spec` as they
 * are meant, marks schemas whose level there is not, and has the server go by what is stored.
 */
export function keepFlowObjects(options: KeepObjectsOptions): Closable {
  const { objects, control, clock, log } = options;
  const views = {
    schemas: objects.view(apiVersionOf(flowSchemas), flowSchemas.plural),
    levels: objects.view(apiVersionOf(priorityLevels), priorityLevels.plural),
  };
  let [timer, closed, running]: [Timer | undefined, boolean, Promise<void>] = [undefined, false, Promise.resolve()];
  const later = (delayMs: number): void => {
    if (closed) return;
    timer ??= clock.setTimer(() => {
      timer = undefined;
      running = look().catch((error: unknown) => {
        if (closed) return;
        log.warn({ error: messageOf(error) }, 'priority levels could not be kept; trying again');
        later(retryMs);
      });
    }, delayMs);
  };

  async function look(): Promise<void> {
    await Promise.all([views.schemas.current(), views.levels.current()]);
    const schemas = views.schemas.list() as unknown as readonly FlowSchema[];
    const levels = views.levels.list() as unknown as readonly PriorityLevelConfiguration[];
    control.use(schemas, levels);
    for (const wanted of defaultPriorityLevels) await keep(wanted, levels, priorityLevels.plural);
    for (const wanted of defaultFlowSchemas) await keep(wanted, schemas, flowSchemas.plural);
    const names = new Set(levels.map((one) => one.metadata.name));
    for (const one of schemas) await mark(one, names);
  }

  async function keep<T extends FlowSchema | PriorityLevelConfiguration>(
    wanted: T,
    stored: readonly T[],
    plural: string,
  ): Promise<void> {
    const { name } = wanted.metadata;
    const found = stored.find((one) => one.metadata.name === name);
    const collection = `/apis/${apiVersionOf(flowSchemas)}/${plural}`;
    const transport = objects.transport();
    if (found === undefined) return put(transport, collection, wanted, false);
    const ours = mandatoryNames.has(name) || found.metadata.annotations?.[autoUpdateAnnotation] === 'true';
    if (!ours || deepEqual(withoutNothing(found.spec), withoutNothing(wanted.spec))) return;
    const replaced = await transport.request({
      method: 'PUT',
      target: `${collection}/${name}`,
      headers: { 'user-agent': userAgent },
      objectBody: { ...found, spec: wanted.spec },
      objects: true,
    });
    if (replaced.status >= 300) throw apiErrorFromStatus(replaced.object as Status);
  }

  /** Condition Dangling, as upstream words it. */
  async function mark(schema: FlowSchema, levels: ReadonlySet<string>): Promise<void> {
    const { name } = schema.metadata;
    const level = schema.spec?.priorityLevelConfiguration?.name ?? '';
    const dangling = !levels.has(level);
    const message = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} ${dangling ? 'but there is no such object' : 'and it exists'}`;
    const known = schema.status?.conditions?.find((one) => one.type === 'Dangling');
    const status = dangling ? 'True' : 'False';
    if (known?.status === status && known.message === message) return;
    const condition = {
      type: 'Dangling',
      status,
      lastTransitionTime: rfc3339(clock.nowMs()),
      reason: dangling ? 'NotFound' : 'Found',
      message,
    };
    const response = await objects.transport().request({
      method: 'PATCH',
      target: `/apis/${apiVersionOf(flowSchemas)}/${flowSchemas.plural}/${encodeURIComponent(name)}/status`,
      headers: { 'content-type': 'application/strategic-merge-patch+json', 'user-agent': userAgent },
      objectBody: { status: { conditions: [condition] } },
      objects: true,
    });
    if (response.status >= 300 && response.status !== 404 && response.status !== 409)
      log.debug({ schema: name, code: response.status }, 'a FlowSchema could not be marked');
  }

  const endings = [views.schemas, views.levels].map((view) => view.onChange(() => later(settleMs)));
  later(firstMs);
  return {
    async close() {
      closed = true;
      timer?.cancel();
      for (const end of endings) end();
      await running;
    },
  };
}

/** Without members that say nothing (null, false, empty lists): stored and wanted objects leave out different ones. */
function withoutNothing(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, one: unknown) =>
      one === null || one === false || (Array.isArray(one) && one.length === 0) ? undefined : one,
    ) ?? 'null',
  );
}
