import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, Machine, whyNoContainers } from './harness.ts';

const skip = whyNoContainers() ?? false;
const machine = new Machine('demo');

before(async () => {
  if (skip === false) await machine.prepare();
});
after(async () => {
  if (skip === false) await machine.remove();
});

interface Orders {
  readonly orders: number;
  readonly servedBy: string;
  readonly api: string;
}

test('k8ts demo opens a shop on three nodes; orders outlive the pod that stores them', { skip }, async () => {
  const { code, stdout, stderr } = await machine.k8ts('demo', '--isolated', '--name', machine.name, '--wait', '170s');
  assert.equal(code, 0, stderr);
  const url = stdout.trim();
  assert.match(url, /^http:\/\/172\.29\.\d+\.\d+\/$/);
  const page = await fetch(url);
  assert.match(await page.text(), /Pods that answered/);
  assert.match(page.headers.get('x-served-by') ?? '', /^web-/);
  const order = async (): Promise<Orders> => {
    const response = await fetch(`${url}api/orders`, { method: 'POST', body: JSON.stringify({ product: 'Lamp' }) });
    assert.equal(response.status, 201);
    return (await response.json()) as Orders;
  };
  const apis = new Set<string>();
  let last = await order();
  for (let i = 0; i < 7; i++) {
    apis.add(last.api);
    last = await order();
  }
  assert.equal(last.orders, 8);
  assert.equal(last.servedBy, 'store-0');
  assert.equal(apis.size, 2, `both pods of the api answered: ${[...apis]}`);
  const nodes = await machine.must(
    '-n',
    'shop',
    'get',
    'pods',
    '-l',
    'app=web',
    '-o',
    'jsonpath={.items[*].spec.nodeName}',
  );
  assert.deepEqual(nodes.split(' ').sort(), ['worker1', 'worker2']);

  const stranger = await machine.kubectl(
    '-n',
    'shop',
    'exec',
    'deploy/web',
    '--',
    'node',
    '-e',
    "fetch('http://store-0.store:8080/orders',{signal:AbortSignal.timeout(1500)}).then(()=>process.exit(0),()=>process.exit(7))",
  );
  assert.equal(stranger.code, 7, 'the network policy keeps the web pods from the store');

  await machine.must('-n', 'shop', 'delete', 'pod', 'store-0');
  const after = await eventually('the store is back', async () => {
    const response = await fetch(`${url}api/orders`, { signal: AbortSignal.timeout(3_000) });
    return response.ok && ((await response.json()) as Orders);
  });
  assert.equal(after.orders, 8);
});
