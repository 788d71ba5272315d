import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ManualClock, seededRandom, silentLog } from '#base';
import { testServer } from '../test-server.ts';
import { auditLink } from './audit.link.ts';
import { parseAuditPolicy } from './policy-file.ts';
import { openFileSink } from './sink.ts';

// biome-ignore lint: events are plain data
type Event = any;

const parse = (text: string) => parseAuditPolicy(Buffer.from(text), 'policy.yaml');

const whole = `
apiVersion: audit.k8s.io/v1
kind: Policy
metadata: {name: ours}
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:kube-proxy"]
  verbs: [watch]
  resources: [{group: "", resources: [endpoints, services/status]}]
- level: None
  nonResourceURLs: ["/healthz*", /version]
- level: Request
  namespaces: [default]
  resources: [{resources: [configmaps], resourceNames: [one, two]}]
  omitStages: [ResponseStarted]
- level: RequestResponse
  userGroups: [system:masters]
  omitManagedFields: true
- level: Metadata
`;

describe('a policy file', () => {
  it('is read with all that it may hold, as YAML or JSON', () => {
    const policy = parse(whole);
    assert.equal(policy.rules.length, 5);
    assert.deepEqual(policy.omitStages, ['RequestReceived']);
    assert.deepEqual(policy.rules[2], {
      level: 'Request',
      namespaces: ['default'],
      resources: [{ resources: ['configmaps'], resourceNames: ['one', 'two'] }],
      omitStages: ['ResponseStarted'],
    });
    assert.equal(policy.rules[3]?.omitManagedFields, true);
    const json = JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] });
    assert.deepEqual(parse(json).rules, [{ level: 'Metadata' }]);
  });

  it('is refused with everything that is wrong', () => {
    const head = 'apiVersion: audit.k8s.io/v1\nkind: Policy\n';
    for (const [text, pattern] of [
      ['', /holds 0 documents, one Policy is expected/],
      ['a: [', /policy\.yaml is neither YAML nor JSON: /],
      [`${head}rules: [{level: None}]\n---\n${head}rules: []\n`, /holds 2 documents/],
      [
        'kind: Pod\nrules: [{level: None}]',
        /kind: "Pod", expected Policy; apiVersion: "undefined", expected audit\.k8s\.io\/v1/,
      ],
      [`${head.replace('/v1', '/v1beta1')}rules: [{level: None}]`, /apiVersion: "audit\.k8s\.io\/v1beta1", expected/],
      [head, /rules: at least one is needed/],
      [`${head}rules: []`, /rules: at least one is needed/],
      [`${head}rule: []\nrules: [{level: None}]`, /rule: unknown field/],
      [`${head}rules: [{}]`, /rules\[0\]\.level: "undefined", expected None, Metadata, Request, RequestResponse/],
      [`${head}rules: [{level: metadata}]`, /rules\[0\]\.level: "metadata"/],
      [`${head}rules: [{level: None, user: [a]}]`, /rules\[0\]\.user: unknown field/],
      [`${head}rules: [{level: None, users: a}]`, /rules\[0\]\.users: expected a list of texts/],
      [`${head}rules: [{level: None, nonResourceURLs: [healthz]}]`, /"healthz" does not begin with "\/"/],
      [`${head}rules: [{level: None, nonResourceURLs: ["/a*b"]}]`, /"\/a\*b" has a "\*" before its end/],
      [`${head}rules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]`, /exclude each other/],
      [`${head}rules: [{level: None, resources: [{group: apps/v1}]}]`, /group: "apps\/v1" is no name of a group/],
      [`${head}rules: [{level: None, resources: [{resourceNames: [a]}]}]`, /names need resources that have them/],
      [`${head}rules: [{level: None, omitStages: [Later]}]`, /omitStages: expected some of RequestReceived/],
      [`${head}rules: [{level: None, level: Metadata}]`, /neither YAML nor JSON/],
    ] as const) {
      assert.throws(
        () => parse(text),
        (error: { code: string; message: string }) => {
          assert.equal(error.code, 'AuditPolicy');
          assert.match(error.message, pattern);
          return true;
        },
        text,
      );
    }
  });

  it('decides what is recorded', async () => {
    const events: Event[] = [];
    const clock = new ManualClock();
    const audit = auditLink({
      policy: parse(whole),
      sink: { write: (event) => void events.push(structuredClone(JSON.parse(JSON.stringify(event)))) },
      clock,
      random: seededRandom(1),
    });
    await using one = await testServer({ clock, audit });
    events.length = 0;
    await one.ask('GET', '/version');
    assert.equal(events.length, 0);
    const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'three' }, data: { a: 'b' } };
    await one.ask('POST', '/api/v1/namespaces/default/configmaps', configMap);
    const [made] = events;
    assert.equal(events.length, 1);
    assert.deepEqual([made.level, made.stage], ['RequestResponse', 'ResponseComplete']);
    assert.equal(made.requestObject.data.a, 'b');
    assert.equal(made.responseObject.metadata.name, 'three');
    assert.equal(made.responseObject.metadata.managedFields, undefined);
    events.length = 0;
    await one.ask('GET', '/api/v1/namespaces/default/configmaps/one');
    assert.equal(events[0].level, 'Request');
    assert.equal(events[0].responseObject, undefined);
    events.length = 0;
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { password: 'hunter2' } };
    await one.ask('POST', '/api/v1/namespaces/default/secrets', secret);
    assert.equal(events[0].level, 'Metadata', 'Secrets are never recorded with their content');
    assert.equal(JSON.stringify(events).includes('hunter2'), false);
  });

  it('without omitted stages records that a request came, too', async () => {
    const events: Event[] = [];
    const clock = new ManualClock();
    const policy = parse('apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]');
    const audit = auditLink({
      policy,
      sink: { write: (event) => void events.push(event) },
      clock,
      random: seededRandom(1),
    });
    await using one = await testServer({ clock, audit });
    events.length = 0;
    await one.ask('GET', '/api/v1/namespaces/default/configmaps/none');
    assert.deepEqual(
      events.map((event) => [event.stage, event.responseStatus?.code]),
      [
        ['RequestReceived', undefined],
        ['ResponseComplete', 404],
      ],
    );
    assert.equal(events[0].auditID, events[1].auditID);
  });
});

describe('the log file', () => {
  const open = (t: TestContext, more: object = {}) => {
    const dir = mkdtempSync(join(tmpdir(), 'k8ts-audit-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const clock = new ManualClock();
    const path = join(dir, 'deep', 'audit.log');
    return { dir: join(dir, 'deep'), path, clock, sink: openFileSink({ path, clock, log: silentLog, ...more }) };
  };

  it('has a line an event, for its owner alone', async (t) => {
    const { path, clock, sink } = open(t);
    sink.write({ n: 1 });
    sink.write({ n: 2 });
    assert.equal(readFileSync(path, 'utf8'), '');
    await clock.advance(200);
    assert.equal(readFileSync(path, 'utf8'), '{"n":1}\n{"n":2}\n');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    sink.write({ n: 3 });
    await sink.close();
    assert.match(readFileSync(path, 'utf8'), /"n":3/);
  });

  it('is put aside when it is full; so many are kept, for so long, and nothing else is removed', async (t) => {
    const { dir, path, clock, sink } = open(t, { largestBytes: 1000, kept: 3, oldestMs: 86_400_000 });
    writeFileSync(`${path}.notes`, 'mine');
    const event = { text: 'x'.repeat(400) };
    for (let i = 0; i < 30; i++) {
      sink.write(event);
      await clock.advance(1000);
    }
    const aside = (): string[] =>
      readdirSync(dir).filter((name) => name.startsWith('audit.log.2') || name.startsWith('audit.log.1'));
    assert.equal(aside().length, 3);
    for (const name of aside()) assert.ok(statSync(join(dir, name)).size < 2000);
    const [old = ''] = aside().sort().reverse();
    const longAgo = clock.nowMs() / 1000 - 100_000;
    utimesSync(join(dir, old), longAgo, longAgo);
    for (let i = 0; i < 3; i++) {
      sink.write(event);
      await clock.advance(1000);
    }
    assert.equal(existsSync(join(dir, old)), false);
    assert.equal(readFileSync(`${path}.notes`, 'utf8'), 'mine');
    await sink.close();
  });
});
