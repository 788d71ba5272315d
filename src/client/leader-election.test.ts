import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, silentLog } from '#base';
import type { Lease } from '#api';
import { errConflict, errInternal, errNotFound } from '#machinery';
import type { Client } from './contract.ts';
import { startLeaderElection } from './leader-election.ts';

/** One lease with optimistic concurrency, reachable or not for each candidate. */
function room() {
  let lease: Lease | undefined;
  let version = 0;
  const down = new Set<string>();
  const group = { group: 'coordination.k8s.io', plural: 'leases' };
  const client = (who: string): Client => {
    const reach = (): void => {
      if (down.has(who)) throw errInternal('unreachable');
    };
    const write = (next: Lease): Lease => {
      lease = { ...next, metadata: { ...next.metadata, resourceVersion: String(++version) } };
      return lease;
    };
    return {
      async get() {
        reach();
        if (lease === undefined) throw errNotFound(group, 'l');
        return lease;
      },
      async create(_: unknown, object: Lease) {
        reach();
        if (lease !== undefined) throw errConflict(group, 'l', 'exists');
        return write(object);
      },
      async update(_: unknown, object: Lease) {
        reach();
        if (object.metadata.resourceVersion !== lease?.metadata.resourceVersion)
          throw errConflict(group, 'l', 'changed');
        return write(object);
      },
    } as unknown as Client;
  };
  return { client, down, holder: () => lease?.spec.holderIdentity, transitions: () => lease?.spec.leaseTransitions };
}

test('one leads; when it is cut off it stops before another begins; a clean end hands over at once', async () => {
  const clock = new ManualClock();
  const { client, down, holder, transitions } = room();
  const acting = new Set<string>();
  const history: string[] = [];
  const candidate = (identity: string) =>
    startLeaderElection({
      client: client(identity),
      clock,
      log: silentLog,
      lease: { namespace: 'kube-system', name: 'l' },
      identity,
      onStarted(signal) {
        assert.equal(acting.size, 0, `${identity} began while ${[...acting]} acts`);
        acting.add(identity);
        history.push(`+${identity} ${clock.monotonicMs()}`);
        signal.addEventListener('abort', () => {
          acting.delete(identity);
          history.push(`-${identity} ${clock.monotonicMs()}`);
        });
      },
    });
  const a = candidate('a');
  await clock.advance(0);
  const b = candidate('b');
  await clock.advance(30_000);
  assert.deepEqual([[...acting], holder(), a.leading, b.leading], [['a'], 'a', true, false]);
  down.add('a');
  await clock.advance(10_001);
  assert.deepEqual([...acting], [], 'a stopped by itself');
  await clock.advance(8_000);
  assert.deepEqual([[...acting], holder(), transitions()], [['b'], 'b', 1]);
  down.delete('a');
  await clock.advance(20_000);
  assert.deepEqual([...acting], ['b']);
  await b.close();
  assert.deepEqual([[...acting], holder()], [[], '']);
  await clock.advance(4_000);
  assert.deepEqual([...acting], ['a']);
  await a.close();
  assert.deepEqual(
    history.map((one) => one.split(' ')[0]),
    ['+a', '-a', '+b', '-b', '+a', '-a'],
  );
});
