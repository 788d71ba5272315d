import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually, whyNoContainers } from './harness.ts';
import { busyboxImage } from './images.ts';
import { Machines, pageBlocks, runPage } from './machines.ts';

const skip = whyNoContainers() ?? false;
const machines = new Machines('k8s');
/** Stands in for nginx: answers with its host name, and looks names up as nginx' own wget does. */
const program = `mkdir -p /www; hostname > /www/index.html
printf '#!/bin/sh\\nfor last; do :; done; exec fetch "$last"\\n' > /usr/bin/wget; rm /bin/wget; chmod +x /usr/bin/wget
trap "exit 0" TERM; httpd -f -p 80 -h /www & wait`;

describe('the tutorial page on Services', { skip }, () => {
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
    const outputs = await runPage('04-services', machines);
    const pages = outputs.join('\n');
    // Two by name, one of the headless Service, three node ports, three load balancers.
    assert.equal((pages.match(/^web-[a-z0-9]+-[a-z0-9]+$/gm) ?? []).length, 9, pages);
    assert.match(pages, /front +LoadBalancer +\S+ +192\.168\.60\.10,192\.168\.60\.11,192\.168\.60\.12 +80:/);
    assert.match(pages, /^(master|worker1|worker2)$/m);
    assert.match(pages, /"localEndpoints":[123],/);
    assert.match(pages, /"forNodes":\[\{"name":"worker[12]"\}\]/);
    await eventually('the address is free again', async () => {
      const held = await Promise.all(machines.all.map(({ name }) => machines.must(name, 'ip address')));
      return held.every((one) => !one.includes('192.168.60.200/'));
    });
  });
});
