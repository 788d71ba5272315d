import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { whyNoContainers } from './harness.ts';
import { busyboxImage } from './images.ts';
import { Machines, pageBlocks, runPage } from './machines.ts';

const skip = whyNoContainers() ?? false;
const machines = new Machines('k8v');

describe('the tutorial page on volumes', { skip }, () => {
  before(async () => {
    await machines.make(['master', 'worker1', 'worker2']);
    // The cluster of page 1, by the page's own first commands.
    const [init, kubeconfig] = pageBlocks('01-set-up');
    const printed = await machines.must('master', init?.script ?? '');
    await machines.must('master', kubeconfig?.script ?? '');
    const join = /k8ts join (?:.*\\\n)*.*/.exec(printed)?.[0] ?? '';
    await Promise.all(['worker1', 'worker2'].map((name) => machines.must(name, join)));
    await machines.must('master', 'kubectl wait --for=condition=Ready node --all --timeout=60s');
    const image = await busyboxImage('docker.io/library/busybox:1.37');
    for (const name of ['worker1', 'worker2']) await machines.loadImages(name, [image]);
  });
  after(async () => {
    await machines.remove();
    // The machines of the test share this one's files, but for those below their roots.
    rmSync('/mnt/disks/one', { recursive: true, force: true });
    if (existsSync('/mnt/disks') && readdirSync('/mnt/disks').length === 0) rmdirSync('/mnt/disks');
  });

  test('runs as printed', async () => {
    const outputs = await runPage('07-volumes', machines);
    const pages = outputs.join('\n');
    assert.match(pages, /^local \(default\) +k8ts\.io\/local +Delete +WaitForFirstConsumer +true/m);
    assert.match(pages, /persistentvolumeclaim\/notes +Bound +pvc-\S+ +100Mi +RWO +local/);
    assert.equal((pages.match(/^remember the milk$/gm) ?? []).length, 1);
    assert.match(pages, /^from before\n2000 2775$/m);
    const path = /^\S+\/local-volumes\/pvc-\S+\/data$/m.exec(pages)?.[0] ?? '';
    const kept = await Promise.all(['worker1', 'worker2'].map((name) => machines.shell(name, `cat ${path}/today`)));
    assert.ok(
      kept.some(({ stdout }) => stdout === 'remember the milk\n'),
      path,
    );
  });
});
