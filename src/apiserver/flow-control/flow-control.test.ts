import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FlowSchema, PriorityLevelConfiguration } from '#api';
import { ManualClock, MetricRegistry } from '#base';
import { parsePrometheusText } from '#testkit';
import type { ServerRequest, ServerResponse } from '../contract.ts';
import { parseRequestInfo } from '../http/request-info.ts';
import { defaultFlowSchemas, defaultPriorityLevels } from './default-objects.ts';
import { FlowControl } from './flow-control.ts';
import { dealHand } from './priority-level.ts';

interface Asker {
  readonly user?: string;
  readonly groups?: readonly string[];
}

const authenticated = 'system:authenticated';

function requestOf(method: string, target: string, { user = 'u', groups = [authenticated] }: Asker = {}) {
  const aborts: (() => void)[] = [];
  const request = {
    method,
    source: { remoteAddress: '10.0.0.1' },
    identity: { user, groups },
    info: parseRequestInfo(method, target),
    onAbort(callback: () => void) {
      aborts.push(callback);
      return () => void aborts.splice(aborts.indexOf(callback), 1);
    },
  } as unknown as ServerRequest;
  return { request, abort: () => aborts.slice().forEach((one) => one()) };
}

const withUids = <T extends { metadata: object }>(objects: readonly T[]): T[] =>
  objects.map((one) => ({ ...one, metadata: { ...one.metadata, uid: (one.metadata as { name: string }).name } }));

function openControl(seats = 600) {
  const clock = new ManualClock();
  const registry = new MetricRegistry();
  const control = new FlowControl({ clock, registry, seats });
  const metric = (name: string, labels: Record<string, string>): number | undefined =>
    parsePrometheusText(`${registry.lines().join('\n')}\n`)
      .get(`apiserver_${name.replace(/_count$/, '')}`)
      ?.samples.find(
        (one) =>
          one.name === `apiserver_${name}` && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
      )?.value;
  /** Asks, and answers when `finish` is called. */
  const ask = (method: string, target: string, asker?: Asker) => {
    const { request, abort } = requestOf(method, target, asker);
    const gate = Promise.withResolvers<void>();
    const state = { began: false };
    const answer = control.link(request, async (): Promise<ServerResponse> => {
      state.began = true;
      await gate.promise;
      return { status: 200, headers: {} };
    });
    answer.catch(() => {});
    return { answer, abort, finish: gate.resolve, state };
  };
  return { clock, control, metric, ask };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const pods = '/api/v1/namespaces/a/pods';

describe('flow control', () => {
  it('finds the level of a request as upstream does', async () => {
    const { control } = openControl();
    control.use(withUids(defaultFlowSchemas), withUids(defaultPriorityLevels));
    const account = (namespace: string): Asker => ({
      user: `system:serviceaccount:${namespace}:x`,
      groups: ['system:serviceaccounts', authenticated],
    });
    const node = { user: 'system:node:n', groups: ['system:nodes', authenticated] };
    const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n';
    for (const [method, target, asker, schema, level] of [
      ['GET', pods, { groups: ['system:masters', authenticated] }, 'exempt', 'exempt'],
      ['GET', '/readyz', { groups: ['system:unauthenticated'] }, 'probes', 'exempt'],
      ['GET', '/version', { groups: ['system:unauthenticated'] }, 'global-default', 'global-default'],
      ['PUT', lease, { user: 'system:kube-scheduler' }, 'system-leader-election', 'leader-election'],
      ['PUT', lease, node, 'system-node-high', 'node-high'],
      ['PATCH', '/api/v1/nodes/n/status', node, 'system-node-high', 'node-high'],
      ['GET', pods, node, 'system-nodes', 'system'],
      ['GET', pods, { user: 'system:kube-controller-manager' }, 'kube-controller-manager', 'workload-high'],
      ['GET', pods, account('kube-system'), 'kube-system-service-accounts', 'workload-high'],
      ['GET', pods, account('kube-systems'), 'service-accounts', 'workload-low'],
      ['GET', pods, {}, 'global-default', 'global-default'],
    ] as const) {
      const { request } = requestOf(method, target, asker as Asker);
      await control.link(request, async () => ({ status: 200, headers: {} }));
      assert.deepEqual(request.flow, { schema, level }, `${method} ${target} ${JSON.stringify(asker)}`);
    }
  });

  it('lets so many in, has some wait in fair queues, and refuses the rest with 429 and Retry-After', async () => {
    const { control, ask, metric } = openControl(2);
    const level = {
      metadata: { name: 'narrow' },
      spec: {
        type: 'Limited',
        limited: {
          nominalConcurrencyShares: 1,
          limitResponse: { type: 'Queue', queuing: { queues: 8, handSize: 1, queueLengthLimit: 3 } },
        },
      },
    } as unknown as PriorityLevelConfiguration;
    const schema = {
      metadata: { name: 'all' },
      spec: {
        priorityLevelConfiguration: { name: 'narrow' },
        distinguisherMethod: { type: 'ByUser' },
        rules: defaultFlowSchemas.at(-1)?.spec?.rules,
      },
    } as unknown as FlowSchema;
    control.use([schema], [level]);
    const running = [ask('GET', pods), ask('GET', pods)];
    const greedy = [ask('GET', pods), ask('GET', pods), ask('GET', pods)];
    await settled();
    assert.deepEqual(
      [...running, ...greedy].map(({ state }) => state.began),
      [true, true, false, false, false],
    );
    const refused = ask('POST', pods);
    await assert.rejects(refused.answer, (error: { status: { code: number; details: object } }) => {
      assert.equal(error.status.code, 429);
      assert.deepEqual(error.status.details, { retryAfterSeconds: 1 });
      return true;
    });
    const modest = ask('GET', pods, { user: 'another' });
    const labels = { flow_schema: 'all', priority_level: 'narrow' };
    assert.equal(metric('flowcontrol_current_executing_requests', labels), 2);
    assert.equal(metric('flowcontrol_current_inqueue_requests', labels), 4);
    assert.equal(metric('current_inqueue_requests', { request_kind: 'readOnly' }), 4);
    assert.equal(metric('flowcontrol_rejected_requests_total', { ...labels, reason: 'queue-full' }), 1);
    for (const one of running) one.finish();
    await Promise.all(running.map(({ answer }) => answer));
    await settled();
    assert.equal(modest.state.began, true, 'one flow with many requests does not keep another waiting');
    assert.equal(greedy.filter(({ state }) => state.began).length, 1);
    for (const one of [...greedy, modest]) one.finish();
    await Promise.all([...greedy, modest].map(({ answer }) => answer));
    assert.equal(metric('flowcontrol_dispatched_requests_total', labels), 6);
    assert.equal(metric('flowcontrol_current_executing_requests', labels), 0);
    assert.equal(metric('flowcontrol_request_wait_duration_seconds_count', { ...labels, execute: 'true' }), 4);
  });

  it('gives up after 15 s, and when the client does', async () => {
    const { clock, control, ask, metric } = openControl(1);
    control.use(
      defaultFlowSchemas,
      defaultPriorityLevels.filter(({ metadata: { name } }) => name === 'global-default'),
    );
    const running = ask('GET', pods);
    const late = ask('GET', pods);
    const gone = ask('GET', pods);
    await settled();
    gone.abort();
    await assert.rejects(gone.answer);
    await clock.advance(15_000);
    await assert.rejects(late.answer, /Too many requests/);
    const labels = { flow_schema: 'global-default' };
    assert.equal(metric('flowcontrol_rejected_requests_total', { ...labels, reason: 'time-out' }), 1);
    assert.equal(metric('flowcontrol_rejected_requests_total', { ...labels, reason: 'cancelled' }), 1);
    running.finish();
    await running.answer;
    const next = ask('GET', pods);
    await settled();
    assert.equal(next.state.began, true);
    next.finish();
    await next.answer;
  });

  it('borrows what other levels lend, and never what they keep', async () => {
    const { ask, metric } = openControl(49);
    // 49 seats by 245 shares: global-default has 4 and lends 2, catch-all keeps its 1 …
    assert.equal(metric('flowcontrol_nominal_limit_seats', { priority_level: 'global-default' }), 4);
    const all = Array.from({ length: 60 }, () => ask('GET', pods));
    await settled();
    const began = all.filter(({ state }) => state.began).length;
    // Kept by others: system 4, node-high 6, leader-election 2, workload-high 4, workload-low 2, catch-all 1.
    assert.equal(began, 49 - 19);
    const other = ask('GET', pods, { user: 'system:kube-controller-manager' });
    await settled();
    assert.equal(other.state.began, true, 'a level finds its own seats free');
    for (const one of [...all, other]) one.finish();
    await Promise.all([...all, other].map(({ answer }) => answer));
  });

  it('lets long-running requests, system:masters and this process itself pass', async () => {
    const { ask } = openControl(1);
    const first = ask('GET', pods);
    const passing = [
      ask('GET', `${pods}?watch=1`),
      ask('POST', `${pods}/p/exec`),
      ask('GET', pods, { groups: ['system:masters', authenticated] }),
    ];
    await settled();
    assert.ok(passing.every(({ state }) => state.began));
    for (const one of [first, ...passing]) one.finish();
    await Promise.all([first, ...passing].map(({ answer }) => answer));
  });

  it('deals a flow the same queues each time, all different', () => {
    for (let hash = 1; hash < 2000; hash += 7) {
      const hand = dealHand(hash, 64, 6);
      assert.equal(new Set(hand).size, 6);
      assert.ok(hand.every((one) => one >= 0 && one < 64));
      assert.deepEqual(dealHand(hash, 64, 6), hand);
    }
    assert.deepEqual(dealHand(5, 2, 6).sort(), [0, 1]);
  });
});
