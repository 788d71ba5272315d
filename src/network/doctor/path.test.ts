import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counterRules, explainLoss, lostAt, type PathFacts, type Probe, probes } from './path.ts';

const probe = (name: string): Probe => probes.find((one) => one.name === name) as Probe;
const well: PathFacts = { forwarding: {}, noRoute: {}, bridgeFilters: [], failed: {} };
const index = (one: Probe, place: string, point: string, back = false): number =>
  one.hops.findIndex((hop) => hop.place === place && hop.point === point && hop.back === back);

test('a packet is lost at the first hop that did not see it', () => {
  const service = probe('Service');
  assert.equal(
    lostAt(service, () => true),
    undefined,
  );
  assert.equal(
    lostAt(service, ({ back }) => !back),
    index(service, 'podb', 'out', true),
  );
  assert.equal(
    lostAt(service, ({ place, back }) => !back && place !== 'nodeb'),
    index(service, 'nodeb', 'enter'),
  );
});

test('each loss has its place, its reason and what to do', () => {
  const service = probe('Service');
  const at = (place: string, point: string, facts: Partial<PathFacts> = {}, back = false): string =>
    explainLoss(service, index(service, place, point, back), { ...well, ...facts });
  assert.match(
    at('poda', 'out', { noRoute: { poda: 'it has no route' } }),
    /^the packet never left the first pod: it has no route/,
  );
  assert.match(
    at('nodea', 'enter'),
    /left the first pod and never came to the first node: the link between them \(veth\)/,
  );
  assert.match(
    at('nodea', 'leave', { forwarding: { nodea: 'ip_forward is 0' } }),
    /was not passed on: ip_forward is 0/,
  );
  assert.match(at('nodea', 'leave', { failed: { nodea: 'no maps' } }), /was not passed on: no maps/);
  assert.match(at('nodea', 'leave'), /address translation does not work/);
  assert.match(
    at('nodeb', 'enter', { bridgeFilters: ['a wall'] }),
    /never came to the second node: on this machine, a wall/,
  );
  assert.match(at('podb', 'out', {}, true), /^the answer never left the second pod, which got the packet/);
  assert.match(
    at('nodea', 'enter', {}, true),
    /^the answer left the second node and never came to the first node: the bridge/,
  );
});

test('every hop of every probe has a counter where it passes', () => {
  for (const one of probes) {
    for (const hop of one.hops)
      assert.match(
        counterRules(hop.place),
        new RegExp(`th ${hop.back ? 'dport' : 'sport'} ${one.sourcePort} counter name ${hop.point}_`),
      );
  }
});
