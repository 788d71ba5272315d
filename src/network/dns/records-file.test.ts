import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EndpointSlice, Service } from '#api';
import { ManualClock, silentLog } from '#base';
import { keepRecords, readRecords } from './records-file.ts';
import { ClusterRecords } from './records.ts';

const service = (name: string, spec: object): Service =>
  ({ metadata: { name, namespace: 'default' }, spec }) as unknown as Service;
const slice = (name: string, address: string): EndpointSlice =>
  ({
    metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  }) as unknown as EndpointSlice;
const answer = (records: ClusterRecords, name: string): unknown[] =>
  records.names.lookup(`${name}.default.svc.cluster.local`, 'A').answers.map((one) => one.data);

test('names of an earlier run hold until everything was listed, and then only what is there', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-dns-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'dns', 'records.json');
  const clock = new ManualClock();
  const first = new ClusterRecords('cluster.local');
  const keeper = keepRecords({ file, names: first.names, clock, log: silentLog });
  first.setService(service('web', { clusterIP: '10.96.0.7' }), false);
  first.setService(service('db', { clusterIP: 'None' }), false);
  first.setSlice(slice('db', '10.244.1.3'), false);
  first.setService(service('gone', { clusterIP: '10.96.0.8' }), false);
  keeper.changed();
  await clock.advance(1_500);
  await keeper.close();

  const second = new ClusterRecords('cluster.local');
  second.restore(readRecords(file, 'cluster.local', silentLog));
  assert.deepEqual(answer(second, 'web'), ['10.96.0.7']);
  assert.deepEqual(answer(second, 'db'), ['10.244.1.3']);
  assert.deepEqual(second.names.pointer('10.96.0.8'), ['gone.default.svc.cluster.local']);
  // The API is back: Services come first, slices later. No name is without its endpoints in between.
  second.setService(service('web', { clusterIP: '10.96.0.9' }), false);
  second.setService(service('db', { clusterIP: 'None' }), false);
  second.setService(service('new', { clusterIP: '10.96.0.10' }), false);
  assert.deepEqual(answer(second, 'db'), ['10.244.1.3']);
  assert.deepEqual(answer(second, 'new'), ['10.96.0.10']);
  second.setSlice(slice('db', '10.244.1.4'), false);
  second.settle();
  assert.deepEqual(answer(second, 'web'), ['10.96.0.9']);
  assert.deepEqual(answer(second, 'db'), ['10.244.1.4']);
  assert.deepEqual(answer(second, 'gone'), []);
});

test('a file that cannot be read, of another domain or of another form is no file', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-dns-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'records.json');
  const read = (text: string, domain = 'cluster.local') => {
    writeFileSync(file, text);
    return readRecords(file, domain, silentLog).length;
  };
  const good = { name: 'a', namespace: 'b', addresses: [], headless: false, ports: [], endpoints: [] };
  const text = JSON.stringify({ format: 1, domain: 'cluster.local', services: [['b/a', good], ['b/x', {}], 7] });
  assert.equal(readRecords(join(folder, 'none'), 'cluster.local', silentLog).length, 0);
  assert.equal(read('{"format":1,'), 0);
  assert.equal(read(text.replace('[7]', '').replace(',7', '')), 1);
  assert.equal(read(text.replace(',7', ''), 'other.local'), 0);
  assert.equal(read(text.replace('"format":1', '"format":2')), 0);
  assert.ok(readFileSync(file).length > 0);
});
