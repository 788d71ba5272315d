import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { aNode, aPod, aService } from '../../testkit/builders.ts';
import { planSlices } from './plan.ts';
import { divideEndpoints, zoneShares } from './topology.ts';

const node = (name: string, zone: string | undefined, cpu: string, labels: object = {}) =>
  aNode(name, {
    metadata: { labels: { ...(zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone }), ...labels } },
    status: { allocatable: { cpu } },
  } as object);
const endpoints = (zones: readonly string[]) => zones.map((zone, i) => ({ key: `p${i}`, zone }));
const counts = (divided: ReadonlyMap<string, string> | undefined) =>
  divided &&
  Object.fromEntries(['a', 'b', 'c'].map((zone) => [zone, [...divided.values()].filter((one) => one === zone).length]));

test('a zone has the part of its ready workers; one without zone, or a single zone, divides nothing', () => {
  const two = [node('n1', 'a', '3'), node('n2', 'b', '500m'), node('n3', 'b', '500m')];
  assert.deepEqual(
    [...(zoneShares(two) ?? [])],
    [
      ['a', 0.75],
      ['b', 0.25],
    ],
  );
  const master = node('m', undefined, '4', { 'node-role.kubernetes.io/control-plane': '' });
  assert.deepEqual(
    [...(zoneShares([...two, master]) ?? [])],
    [
      ['a', 0.75],
      ['b', 0.25],
    ],
  );
  assert.equal(zoneShares([...two, node('n4', undefined, '1')]), undefined);
  assert.equal(zoneShares([node('n1', 'a', '3')]), undefined);
});

test('endpoints serve their own zone first; what a zone lacks comes from those that have more', () => {
  const even = new Map([
    ['a', 0.5],
    ['b', 0.5],
  ]);
  assert.deepEqual(counts(divideEndpoints(endpoints(['a', 'a', 'b', 'b']), even)), { a: 2, b: 2, c: 0 });
  assert.deepEqual(counts(divideEndpoints(endpoints(['a', 'a', 'a', 'a']), even)), { a: 2, b: 2, c: 0 });
  assert.equal(divideEndpoints(endpoints(['a']), even), undefined, 'too few');
  assert.equal(divideEndpoints([{ key: 'p' }, { key: 'q', zone: 'a' }], even), undefined, 'one is nowhere');
});

test('property: all are given out or none, and no zone is overloaded by more than a fifth', () => {
  const shares = fc
    .array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 3 })
    .map((parts) => new Map(parts.map((one, i) => ['abc'[i] as string, one / parts.reduce((a, b) => a + b, 0)])));
  const zones = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 30 });
  fc.assert(
    fc.property(shares, zones, (parts, where) => {
      const divided = divideEndpoints(endpoints(where), parts);
      if (divided === undefined) return;
      assert.equal(divided.size, where.length);
      for (const [zone, share] of parts) {
        const got: number = [...divided.values()].filter((one) => one === zone).length;
        assert.ok((share * where.length) / got <= 1.2 + 1e-9, `${zone}: ${got} of ${where.length} for ${share}`);
      }
    }),
  );
});

test('a Service that asks for it has its endpoints divided, and no hints while that cannot be', () => {
  const service = aService('web', { metadata: { annotations: { 'service.kubernetes.io/topology-mode': 'Auto' } } });
  const pods = [0, 1].map((i) => aPod(`p${i}`, { node: `n${i + 1}`, status: { podIP: `10.244.0.${i + 2}` } }));
  const nodes = [node('n1', 'a', '2'), node('n2', 'b', '2')];
  const nodeOf = (name: string) => nodes.find((one) => one.metadata.name === name);
  const hintsOf = (shares: ReadonlyMap<string, number> | undefined) =>
    planSlices({ service, pods, nodeOf, zoneShares: shares, slices: [] }).create[0]?.endpoints?.map((one) => one.hints);
  assert.deepEqual(hintsOf(zoneShares(nodes)), [{ forZones: [{ name: 'a' }] }, { forZones: [{ name: 'b' }] }]);
  assert.deepEqual(hintsOf(undefined), [undefined, undefined]);
});
