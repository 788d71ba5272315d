import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { etcdMissing } from '../../src/testkit/etcd.ts';
import { eventually, whyNoContainers } from './harness.ts';
import { busyboxImage } from './images.ts';
import { Machines, runPage } from './machines.ts';

const skip = whyNoContainers() ?? false;
const machines = new Machines('k8t');
/** Stands in for nginx: answers with its host name, and looks names up as nginx' own wget does. */
const program = `mkdir -p /www; hostname > /www/index.html
printf '#!/bin/sh\\nfor last; do :; done; exec fetch "$last"\\n' > /usr/bin/wget; rm /bin/wget; chmod +x /usr/bin/wget
trap "exit 0" TERM; httpd -f -p 80 -h /www & wait`;

const page = async (name: string): Promise<string> => (await runPage(name, machines)).join('\n');
const count = (text: string, pattern: RegExp): number => (text.match(pattern) ?? []).length;

/** The pages of docs/tutorial, each command as printed, in order, on three machines. */
describe('the tutorial', { skip }, () => {
  before(() => machines.make(['master', 'worker1', 'worker2']));
  after(async () => {
    await machines.remove();
    // The machines of the test share this one's files, but for those below their roots.
    rmSync('/mnt/disks/one', { recursive: true, force: true });
    if (existsSync('/mnt/disks') && readdirSync('/mnt/disks').length === 0) rmdirSync('/mnt/disks');
  });

  test('1: set up', async () => {
    const text = await page('01-set-up');
    assert.equal(count(text, /^(master|worker1|worker2) +Ready /gm) >= 3, true, text);
    const web = { cmd: ['sh', '-c', program] };
    const images = await Promise.all([
      busyboxImage('docker.io/library/nginx:1.28-alpine', web),
      busyboxImage('docker.io/library/nginx:1.29-alpine', web),
      busyboxImage('docker.io/library/busybox:1.37'),
    ]);
    for (const name of ['worker1', 'worker2']) await machines.loadImages(name, images);
  });

  test('2: pods and nodes', async () => {
    const text = await page('02-pods-and-nodes');
    assert.match(text, /clock +2\/2 +Running +1 /, 'a container that ended was started again');
    assert.match(text, /worker2 +NotReady /);
  });

  test('3: Deployments, StatefulSets and size', async () => {
    const text = await page('03-deployments-and-stateful-sets');
    assert.match(text, /docker\.io\/library\/nginx:1\.29-alpine 3|nginx:1\.29-alpine 3/);
    assert.match(text, /^db-0\ndb-0$/m, 'a pod of a StatefulSet finds its volume again');
    assert.match(text, /^db-0 ?\ndb-1 next$/m, 'a partition holds the others back');
    assert.match(text, /^42$/m);
  });

  test('4: Services', async () => {
    const text = await page('04-services');
    // Two by name, one of the headless Service, three node ports, three load balancers.
    assert.equal(count(text, /^web-[a-z0-9]+-[a-z0-9]+$/gm), 9, text);
    assert.match(text, /front +LoadBalancer +\S+ +192\.168\.60\.10,192\.168\.60\.11,192\.168\.60\.12 +80:/);
    assert.match(text, /^(master|worker1|worker2)$/m);
    assert.match(text, /"localEndpoints":[123],/);
    assert.match(text, /"forNodes":\[\{"name":"worker[12]"\}\]/);
    await eventually('the address is free again', async () => {
      const held = await Promise.all(machines.all.map(({ name }) => machines.must(name, 'ip address')));
      return held.every((one) => !one.includes('192.168.60.200/'));
    });
  });

  test('5: Ingress', async () => {
    const text = await page('05-ingress');
    const addresses = '192\\.168\\.60\\.10,192\\.168\\.60\\.11,192\\.168\\.60\\.12';
    assert.match(text, new RegExp(`^shop +k8ts +shop\\.example,api\\.shop\\.example +${addresses} +80 `, 'm'));
    // Two by host, two by TLS, one by default; the api by host and by its prefix.
    assert.equal(count(text, /^web-[a-z0-9]+-[a-z0-9]+$/gm), 5, text);
    assert.equal(count(text, /^api-[a-z0-9]+-[a-z0-9]+$/gm), 2, text);
    assert.match(text, /^308 https:\/\/secure\.example\/$/m);
    assert.match(text, /Conflict .*older Ingress default\/shop/);
    assert.match(text, /ServiceNotFound .*Service nothing is not there/);
  });

  test('6: configuration and secrets', async () => {
    const text = await page('06-configuration-and-secrets');
    assert.match(text, /^hello green opensesame$/m);
    assert.match(text, /^blue\nhello$/m, 'files follow, the environment does not');
    assert.match(text, /^refused, as it should be$/m);
    assert.match(text, /^nowhere on the disk$/m);
  });

  test('7: volumes', async () => {
    const text = await page('07-volumes');
    assert.match(text, /^local \(default\) +k8ts\.io\/local +Delete +WaitForFirstConsumer +true/m);
    assert.match(text, /persistentvolumeclaim\/notes +Bound +pvc-\S+ +100Mi +RWO +local/);
    assert.equal(count(text, /^remember the milk$/gm), 1);
    assert.match(text, /^from before\n2000 2775$/m);
    const path = /^\S+\/local-volumes\/pvc-\S+\/data$/m.exec(text)?.[0] ?? '';
    const kept = await Promise.all(['worker1', 'worker2'].map((name) => machines.shell(name, `cat ${path}/today`)));
    assert.ok(
      kept.some(({ stdout }) => stdout === 'remember the milk\n'),
      path,
    );
  });

  test('8: network policies', async () => {
    const outputs = await runPage('08-network-policies', machines);
    const [, routes = '', open = '', closed = '', out = '', , tables = '', doctor = ''] = outputs;
    assert.match(routes, /10\.244\.\d\.0\/24 via 192\.168\.60\.1[012] dev eth0/);
    assert.equal(count(open, /^shop-/gm), 2);
    assert.match(closed, /^shop-[\s\S]*the stranger stays outside$/m);
    assert.match(out, /^shop-[\s\S]*no way out$/m);
    assert.match(tables, /table ip k8ts\n$/);
    for (const way of ['pod to pod', 'Service', 'NodePort', 'DNS'])
      assert.match(doctor, new RegExp(`^ok +${way} +arrives`, 'm'));
  });

  test('10: disaster recovery', async () => {
    const outputs = await runPage('10-disaster-recovery', machines);
    assert.match(outputs[1] ?? '', /^WHOLE +yes/m);
    assert.match(outputs[3] ?? '', /soup$/);
    assert.match(outputs[4] ?? '', /node\/worker1 +Ready/);
  });

  test('11: several control planes', { skip: etcdMissing() }, async () => {
    const text = await page('11-several-control-planes');
    assert.equal(count(text, /^(master|worker1|worker2) +Ready +control-plane /gm), 3, text);
    assert.ok(count(text, /^after-the-loss +0 /gm) >= 2, text);
  });
});
