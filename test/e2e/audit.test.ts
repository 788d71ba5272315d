import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually, Machine, type Result, run } from './harness.ts';

const machine = new Machine('e2e-audit');
const policy = machine.path('policy.yaml');
const log = machine.path('audit.log');

interface AuditEvent {
  level: string;
  stage: string;
  verb: string;
  user: { username?: string };
  objectRef?: { resource: string; name?: string };
  responseStatus?: { code: number };
  requestObject?: object;
}

const up = (...args: string[]): Promise<Result> =>
  machine.k8ts('up', '--name', machine.name, '--isolated', '--nodes', '0', ...args);
const events = (): AuditEvent[] =>
  readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as AuditEvent);

/** A request with a token that nobody gave out. */
async function fetchAs(token: string): Promise<void> {
  const server = await machine.must('config', 'view', '-o', 'jsonpath={.clusters[0].cluster.server}');
  await run('curl', ['-sk', '-H', `Authorization: Bearer ${token}`, `${server}/api/v1/namespaces/default/configmaps`]);
}

before(() => run('ip', ['link', 'set', 'lo', 'up']));
after(() => machine.remove());

describe('the audit log', () => {
  test('a policy that cannot be used is refused before anything starts, with all that is wrong', async () => {
    writeFileSync(policy, 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Everything\n  user: [me]\n');
    const refused = await up('--audit-policy-file', policy);
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr.trim().split('\n').at(-1) ?? '',
      /^k8ts: .*policy\.yaml is no audit policy that can be used: rules\[0\]\.user: unknown field; rules\[0\]\.level: "Everything", expected None/,
    );
    const missing = await up('--audit-policy-file', machine.path('none.yaml'));
    assert.match(missing.stderr, /k8ts: the audit policy .*none\.yaml cannot be read: /);
    const alone = await up('--audit-log-maxsize', '5');
    assert.equal(alone.code, 2, alone.stderr);
    assert.doesNotMatch((await machine.k8ts('list')).stdout, new RegExp(machine.name));
  });

  test('a log that cannot be written keeps the server from starting, and says so', async () => {
    mkdirSync(log);
    const refused = await up('--audit-log-path', log);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /the audit log .*audit\.log cannot be written: EISDIR/);
    await machine.k8ts('down', '--delete', '--name', machine.name);
    await run('rmdir', [log]);
  });

  test('says who did what to which object; Secrets never with their content', async () => {
    writeFileSync(
      policy,
      `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]
- level: Request
  resources: [{resources: [configmaps, secrets]}]
- level: None
`,
    );
    const started = await up('--audit-policy-file', policy, '--audit-log-path', log, '--audit-log-maxbackup', '2');
    assert.equal(started.code, 0, started.stderr);
    await machine.must('create', 'configmap', 'menu', '--from-literal=dish=soup');
    await machine.must('create', 'secret', 'generic', 'door', '--from-literal=key=sesame');
    await machine.kubectl('get', 'configmap', 'absent');
    await fetchAs('wrong');
    const found = await eventually('the events are in the file', async () => {
      const all = events();
      return all.length >= 4 && all;
    });
    const of = (verb: string, resource: string): AuditEvent =>
      found.find((one) => one.verb === verb && one.objectRef?.resource === resource) ??
      assert.fail(`${verb} ${resource}`);
    assert.equal(of('create', 'configmaps').user.username, 'kubernetes-admin');
    assert.match(JSON.stringify(of('create', 'configmaps').requestObject), /soup/);
    assert.deepEqual([of('create', 'secrets').level, of('create', 'secrets').requestObject], ['Metadata', undefined]);
    assert.equal(of('get', 'configmaps').responseStatus?.code, 404);
    const stranger =
      found.find((one) => one.responseStatus?.code === 401) ?? assert.fail('the wrong token is not there');
    assert.deepEqual([stranger.user, stranger.verb, stranger.objectRef?.resource], [{}, 'list', 'configmaps']);
    assert.doesNotMatch(readFileSync(log, 'utf8'), /sesame|c2VzYW1l/);
    assert.equal(statSync(log).mode & 0o777, 0o600);
    assert.ok(found.every((one) => one.stage === 'ResponseComplete' || one === stranger));
  });

  test('goes on after a restart, also of a restored cluster, and ends when asked', async () => {
    assert.equal((await machine.k8ts('down', '--name', machine.name)).code, 0);
    assert.equal((await up()).code, 0);
    const atRestart = events().length;
    await machine.must('create', 'configmap', 'again');
    await eventually('it is recorded', async () => events().length > atRestart);
    const backup = machine.path('backup');
    assert.equal((await machine.k8ts('backup', backup, '--name', machine.name)).code, 0);
    assert.equal((await machine.k8ts('down', '--delete', '--name', machine.name)).code, 0);
    const restored = await machine.k8ts('restore', backup);
    assert.equal(restored.code, 0, restored.stderr);
    const before = events().length;
    await machine.must('create', 'configmap', 'restored');
    await eventually('it is recorded', async () => events().length > before);
    const ended = await up('--audit-log-path', 'off');
    assert.equal(ended.code, 0, ended.stderr);
    const count = events().length;
    await machine.must('create', 'configmap', 'unseen');
    assert.equal(events().length, count);
    assert.equal(existsSync(join('/var/lib/k8ts', machine.name, 'log', 'audit.log')), false);
  });
});
