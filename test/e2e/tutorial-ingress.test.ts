import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { whyNoContainers } from './harness.ts';
import { busyboxImage } from './images.ts';
import { Machines, pageBlocks, runPage } from './machines.ts';

const skip = whyNoContainers() ?? false;
const machines = new Machines('k8i');
/** Stands in for nginx: answers with its host name. */
const program = 'mkdir -p /www; hostname > /www/index.html; trap "exit 0" TERM; httpd -f -p 80 -h /www & wait';

describe('the tutorial page on Ingress', { skip }, () => {
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
    const outputs = await runPage('05-ingress', machines);
    const page = outputs.join('\n');
    assert.match(
      page,
      /^shop +k8ts +shop\.example,api\.shop\.example +192\.168\.60\.10,192\.168\.60\.11,192\.168\.60\.12 +80 /m,
    );
    // Two by host, two by TLS, one by default; the api by host and by its prefix.
    assert.equal((page.match(/^web-[a-z0-9]+-[a-z0-9]+$/gm) ?? []).length, 5, page);
    assert.equal((page.match(/^api-[a-z0-9]+-[a-z0-9]+$/gm) ?? []).length, 2, page);
    assert.match(page, /^308 https:\/\/secure\.example\/$/m);
    assert.match(page, /Conflict .*older Ingress default\/shop/);
    assert.match(page, /ServiceNotFound .*Service nothing is not there/);
  });
});
