import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { eventually, Machine, type Result, whyNoContainers } from './harness.ts';

const skip = whyNoContainers() ?? false;
const machine = new Machine('e2e-backup');
const file = machine.path('backup');

interface PodJson {
  metadata: { uid: string; resourceVersion: string };
  status: { podIP: string; containerStatuses?: { containerID: string; restartCount: number; ready: boolean }[] };
}

const pod = (name: string): Promise<PodJson> => machine.json<PodJson>('pod', name);
const isReady = async (name: string): Promise<boolean> => {
  const { containerStatuses } = (await pod(name)).status;
  return containerStatuses?.every((one) => one.ready) === true;
};
const ownName = (...args: string[]): Promise<Result> => machine.k8ts(...args, '--name', machine.name);

async function done(result: Promise<Result>): Promise<Result> {
  const { code, stdout, stderr } = await result;
  assert.equal(code, 0, stderr);
  return { code, stdout, stderr };
}

async function refused(result: Promise<Result>, pattern: RegExp): Promise<void> {
  const { code, stderr } = await result;
  assert.equal(code, 1, stderr);
  assert.match(stderr.trim().split('\n').at(-1) ?? '', pattern);
}

const restore = (...args: string[]): Promise<Result> =>
  machine.k8ts('restore', file, '--image', machine.images, '--name', machine.name, ...args);

describe('backup and restore of a cluster with containers', { skip }, () => {
  let kept: PodJson;
  let beforeChange = '';

  before(async () => {
    await machine.prepare();
    await machine.up('--image', machine.images, '--snapshot-every', '1h', '--snapshot-keep', '2');
    await machine.must('run', 'web', '--image=k8ts.test/web:1', '--port=8080');
    await machine.must('create', 'secret', 'generic', 'door', '--from-literal=key=open sesame');
    await machine.must('create', 'configmap', 'menu', '--from-literal=dish=soup');
    await machine.must('create', 'deployment', 'shop', '--image=k8ts.test/web:1', '--replicas=2');
    await machine.must('wait', '--for=condition=Ready', 'pod/web', '--timeout=60s');
    await machine.must('rollout', 'status', 'deployment/shop', '--timeout=60s');
    kept = await pod('web');
  });
  after(() => machine.remove());

  test('is taken while writes go on, holds what was there, and is for root alone', async () => {
    let writing = true;
    let last = 0;
    const writer = (async () => {
      while (writing) await machine.must('annotate', 'configmap', 'menu', `count=${++last}`, '--overwrite');
    })();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    beforeChange = new Date().toISOString();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await machine.must('patch', 'configmap', 'menu', '-p', '{"data":{"dish":"stew"}}');
    await done(ownName('backup', file));
    writing = false;
    await writer;
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(readFileSync(file).includes('open sesame'), false);
    await refused(machine.kubectl('get', '--raw', '/k8ts/store/archive', '--as=jane'), /Forbidden|forbidden/);
    const { stdout } = await done(machine.k8ts('backup', 'check', file));
    assert.match(stdout, /^HISTORY +revisions \d+ to \d+, 20\d\d-.*Z to 20\d\d-.*Z$/m);
    assert.match(stdout, /^WHOLE +yes/m);
  });

  test('over this cluster: what was lost is back, what was added is gone, pods run on, watchers go on', async () => {
    await machine.must('delete', 'secret', 'door');
    await machine.must('create', 'configmap', 'later');
    await machine.must('delete', 'deployment', 'shop');
    await machine.must('run', 'newcomer', '--image=k8ts.test/web:1');
    await machine.must('wait', '--for=condition=Ready', 'pod/newcomer', '--timeout=60s');
    const watch = machine.background('get', 'configmaps', '--watch', '-o', 'name');
    await eventually('the watch has begun', async () => watch.output().includes('configmap/later'));
    const list = JSON.parse(await machine.must('get', '--raw', '/api/v1/configmaps')) as PodJson;
    const newest = Number(list.metadata.resourceVersion);
    assert.ok(newest > 0);

    const { stderr } = await done(restore());
    assert.match(stderr, /objects as of revision \d+ .*revisions go on from \d+/);
    assert.equal(
      Buffer.from(await machine.must('get', 'secret', 'door', '-o', 'jsonpath={.data.key}'), 'base64').toString(),
      'open sesame',
    );
    assert.equal(await machine.must('get', 'configmap', 'menu', '-o', 'jsonpath={.data.dish}'), 'stew');
    await refused(machine.kubectl('get', 'configmap', 'later'), /"later" not found/);
    await machine.must('rollout', 'status', 'deployment/shop', '--timeout=60s');
    const after = await pod('web');
    assert.ok(Number(after.metadata.resourceVersion) > newest + 1e6, 'no revision is used again');
    assert.deepEqual(
      after.status.containerStatuses?.map((one) => [one.containerID, one.restartCount]),
      kept.status.containerStatuses?.map((one) => [one.containerID, one.restartCount]),
      'the container went on',
    );
    assert.equal(after.status.podIP, kept.status.podIP);
    await refused(machine.kubectl('get', 'pod', 'newcomer'), /"newcomer" not found/);
    const old = await machine.kubectl(
      'get',
      '--raw',
      `/api/v1/configmaps?watch=1&timeoutSeconds=5&resourceVersion=${newest}`,
    );
    assert.match(old.stdout + old.stderr, /too old resource version|"code":410|Expired/);
    await machine.must('create', 'configmap', 'seen');
    await eventually('a new watch sees what comes', async () => {
      const { stdout } = await machine.kubectl('get', 'configmaps', '-o', 'name');
      return stdout.includes('configmap/seen');
    });
    await watch.stop();
    assert.equal((await machine.kubectl('exec', 'web', '--', 'true')).code, 0);
  });

  test('at a time, and at a revision; outside of the history it says what is kept', async () => {
    await refused(
      restore('--at', '2020-01-01T00:00:00Z'),
      /2020-01-01T00:00:00Z is outside the history that was kept: revisions \d+ to \d+, 20/,
    );
    await refused(restore('--at', '999999999'), /revision 999999999 is outside the history/);
    await done(restore('--at', beforeChange));
    assert.equal(await machine.must('get', 'configmap', 'menu', '-o', 'jsonpath={.data.dish}'), 'soup');
    await eventually('the pod is ready', () => isReady('web'));
    assert.equal(
      (await pod('web')).status.containerStatuses?.[0]?.containerID,
      kept.status.containerStatuses?.[0]?.containerID,
    );
  });

  test('cut short, changed or no backup: refused, and nothing is touched', async () => {
    const whole = readFileSync(file);
    const bad = machine.path('bad');
    const attempt = (): Promise<Result> => machine.k8ts('restore', bad, '--name', machine.name);
    writeFileSync(bad, whole.subarray(0, whole.length / 2));
    await refused(attempt(), /^k8ts: .*bad is cut short: it ends in the section "store"; nothing was changed/);
    const changed = Buffer.from(whole);
    changed[whole.length - 500] = (changed[whole.length - 500] as number) ^ 1;
    writeFileSync(bad, changed);
    await refused(attempt(), /^k8ts: .*bad is damaged: .*; nothing was changed/);
    writeFileSync(bad, 'kind: Pod\n');
    await refused(attempt(), /^k8ts: .*bad is not a k8ts backup: /);
    await refused(machine.k8ts('backup', 'check', machine.path('absent')), /cannot be read: there is no such file/);
    await refused(ownName('backup', machine.path('none/backup')), /none is no directory/);
    assert.equal(await isReady('web'), true);
  });

  test('onto an empty machine: objects, keys and tokens are back, and pods start', async () => {
    const uid = (await pod('web')).metadata.uid;
    const token = (await machine.must('create', 'token', 'default', '--duration=1h')).trim();
    await done(ownName('down', '--delete'));
    await done(restore());
    assert.equal((await pod('web')).metadata.uid, uid);
    await eventually('the pod runs again', () => isReady('web'));
    assert.equal(
      Buffer.from(await machine.must('get', 'secret', 'door', '-o', 'jsonpath={.data.key}'), 'base64').toString(),
      'open sesame',
    );
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
    writeFileSync(machine.path('review.json'), JSON.stringify(review));
    const path = '/apis/authentication.k8s.io/v1/tokenreviews';
    assert.match(
      await machine.must('create', '--raw', path, '-f', machine.path('review.json')),
      /"authenticated":true.*"username":"system:serviceaccount:default:default"/,
    );
    await machine.must('rollout', 'status', 'deployment/shop', '--timeout=60s');
  });

  test('snapshots are taken by schedule and listed', async () => {
    const listed = async (): Promise<{ file: string; revision: number }[]> =>
      JSON.parse((await done(ownName('backup', 'list', '-o', 'json'))).stdout);
    const [snapshot] = await eventually('a snapshot was taken', async () => {
      const found = await listed();
      return found.length > 0 && found;
    });
    assert.ok(snapshot && snapshot.revision > 1e9);
    await done(machine.k8ts('backup', 'check', snapshot.file));
    await done(ownName('down'));
    await done(ownName('backup', machine.path('stopped')));
    await done(machine.k8ts('backup', 'check', machine.path('stopped')));
  });
});
