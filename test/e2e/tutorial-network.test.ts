import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { whyNoContainers } from './harness.ts';
import { busyboxImage } from './images.ts';
import { Machines, pageBlocks, runPage } from './machines.ts';

const skip = whyNoContainers() ?? false;
const machines = new Machines('k8n');
/** Stands in for nginx: answers with its host name, and looks names up as nginx' own wget does. */
const program = `mkdir -p /www; hostname > /www/index.html
printf '#!/bin/sh\\nfor last; do :; done; exec fetch "$last"\\n' > /usr/bin/wget; rm /bin/wget; chmod +x /usr/bin/wget
trap "exit 0" TERM; httpd -f -p 80 -h /www & wait`;

describe('the tutorial page on the network', { skip }, () => {
  before(async () => {
    await machines.make(['master', 'worker1', 'worker2']);
    // The cluster of page 1, by the page's own first commands.
    const [init, kubeconfig] = pageBlocks('01-set-up');
    const printed = await machines.must('master', init?.script ?? '');
    await machines.must('master', kubeconfig?.script ?? '');
    const join = /k8ts join (?:.*\\\n)*.*/.exec(printed)?.[0] ?? '';
    await Promise.all(['worker1', 'worker2'].map((name) => machines.must(name, join)));
    await machines.must('master', 'kubectl wait --for=condition=Ready node --all --timeout=60s');
    const image = await busyboxImage('docker.io/library/nginx:1.29-alpine', { cmd: ['sh', '-c', program] });
    for (const name of ['worker1', 'worker2']) await machines.loadImages(name, [image]);
  });
  after(() => machines.remove());

  test('runs as printed', async () => {
    const [, routes = '', open = '', closed = '', out = '', , tables = '', doctor = ''] = await runPage(
      '08-network-policies',
      machines,
    );
    assert.match(routes, /10\.244\.\d\.0\/24 via 192\.168\.60\.1[012] dev eth0/);
    assert.equal(open.match(/^shop-/gm)?.length, 2);
    assert.match(closed, /^shop-[\s\S]*the stranger stays outside$/m);
    assert.match(out, /^shop-[\s\S]*no way out$/m);
    assert.doesNotMatch(tables, /k8ts_policy/);
    for (const way of ['pod to pod', 'Service', 'NodePort', 'DNS'])
      assert.match(doctor, new RegExp(`^ok +${way} +arrives`, 'm'));
  });
});
