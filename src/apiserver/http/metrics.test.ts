import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type Log, ManualClock, seededRandom } from '#base';
import { parsePrometheusText } from '#testkit';
import { testServer } from '../test-server.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';

/** Values by name and labels of a text that a strict reader takes. */
function read(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const { samples } of parsePrometheusText(text).values())
    for (const { name, labels, value } of samples) {
      const written = Object.entries(labels).map(([key, one]) => `${key}="${one}"`);
      values.set(`${name}${written.length === 0 ? '' : `{${written.join(',')}}`}`, value);
    }
  return values;
}

test('metrics have upstream’s names', { timeout: 60_000 }, async () => {
  await using server = await testServer();
  const watching = server.watch(`${configMaps}?watch=1&resourceVersion=0&allowWatchBookmarks=true`, 2);
  for (const name of ['a', 'b'])
    assert.equal((await server.ask('POST', configMaps, { metadata: { name } })).status, 201);
  await watching;
  // Goes on until the server closes.
  const endless = server.watch(`${configMaps}?watch=1&resourceVersion=0`, 99);
  await server.ask('GET', configMaps);
  const kind = 'group="",version="v1"';
  let values: Map<string, number>;
  do values = read((await server.ask('GET', '/metrics')).body as string);
  while ((values.get(`apiserver_watch_events_total{${kind},resource="configmaps"}`) ?? 0) < 4);
  const request = (verb: string, scope: string, dryRun = ',dry_run=""'): string =>
    `verb="${verb}"${dryRun},${kind},resource="configmaps",subresource="",scope="${scope}",component="apiserver"`;
  assert.equal(values.get(`apiserver_request_total{${request('POST', 'resource')},code="201"}`), 2);
  assert.equal(values.get(`apiserver_request_duration_seconds_count{${request('POST', 'resource')}}`), 2);
  assert.equal(values.get(`apiserver_response_sizes_count{${request('LIST', 'namespace', '')}}`), 1);
  assert.equal(values.get(`apiserver_watch_events_total{${kind},resource="configmaps"}`), 4);
  const running = values.get(
    `apiserver_longrunning_requests{verb="WATCH",${kind},resource="configmaps",subresource="",scope="namespace",component="apiserver"}`,
  );
  assert.ok(running !== undefined && running >= 1, `${running}`);
  for (const one of ['mutating', 'readOnly'])
    assert.ok((values.get(`apiserver_current_inflight_requests{request_kind="${one}"}`) as number) >= 1);
  assert.equal(values.get('etcd_request_duration_seconds_count{operation="create",group="",resource="configmaps"}'), 2);
  assert.equal(values.get('apiserver_resource_objects{group="",resource="configmaps"}'), 2);
  assert.equal(values.get('apiserver_storage_objects{resource="configmaps"}'), 2);
  assert.ok([...values.keys()].some((one) => /^kubernetes_build_info\{.*git_version="v1\.36\./.test(one)));
  assert.ok((values.get('process_start_time_seconds') as number) >= 0);
  assert.equal(values.get('authentication_attempts{result="failure"}'), 0);
  await server.server.close();
  await endless.catch(() => {});
});

test('what users write into labels is escaped', async () => {
  const { Measures, labelText } = await import('./measures.ts');
  const measures = new Measures({ monotonicMs: () => 0 } as never);
  measures.observe('apiserver_admission_webhook_admission_duration_seconds', `name="${labelText('a"b\\c\nd')}"`, 0.01);
  for (let i = 0; i < 5000; i++) measures.observe('etcd_request_duration_seconds', `operation="${i}"`, 10);
  const values = read(`${measures.lines().join('\n')}\n`);
  assert.equal(values.get('apiserver_admission_webhook_admission_duration_seconds_count{name="a"b\\c\nd"}'), 1);
  assert.equal([...values.keys()].filter((one) => one.startsWith('etcd_request_duration_seconds_count')).length, 2000);
});

test('verbs are those of HTTP but for lists, watches, apply and streams; nothing that clients make up becomes a label', async () => {
  await using server = await testServer();
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } };
  const apply = { 'content-type': 'application/apply-patch+yaml' };
  await server.ask('POST', `${configMaps}?dryRun=All`, map);
  await server.ask('PATCH', `${configMaps}/a?fieldManager=me`, map, apply);
  await server.ask('GET', '/api/v1/configmaps');
  await server.ask('GET', `${configMaps}?fieldSelector=metadata.name=a`);
  await server.ask('DELETE', configMaps);
  await server.ask('GET', '/readyz');
  for (let i = 0; i < 50; i++) {
    await server.ask('GET', `/made/up/${i}`);
    await server.ask('GET', `/api/v1/madeup${i}/x`);
    await server.ask('GET', `${configMaps}/a/madeup${i}`);
    await server.ask('GET', `${configMaps}?dryRun=x${i}`);
    await server.ask('DELETE', `${configMaps}?dryRun=x${i}`);
  }
  const families = parsePrometheusText((await server.ask('GET', '/metrics')).body as string);
  const { samples } = families.get('apiserver_request_total') ?? { samples: [] };
  const seen = samples
    .filter(({ labels }) => labels.resource === 'configmaps')
    .map(({ labels: { verb, scope, dry_run: dryRun, code } }) => `${verb} ${scope} ${dryRun} ${code}`);
  for (const one of [
    'POST resource All 201',
    'APPLY resource  201',
    'LIST cluster  200',
    'LIST namespace  200',
    'DELETE namespace  200',
    'GET resource  404',
    'DELETE namespace invalid 422',
  ])
    assert.ok(seen.includes(one), `${one} in\n${seen.join('\n')}`);
  const health = samples.find(({ labels }) => labels.subresource === '/readyz');
  assert.deepEqual([health?.labels.verb, health?.labels.component, health?.value], ['GET', '', 1]);
  assert.equal(JSON.stringify([...families.values()]).includes('madeup'), false);
});

test('a slow request is told with who, what and how long, and nothing secret; all are where that is wished', async () => {
  for (const [slowRequestMs, verbs] of [
    [undefined, ['create']],
    [0, ['create', 'get', 'get']],
  ] as const) {
    const told: Record<string, unknown>[] = [];
    const clock = new ManualClock();
    const write = (fields: object, message: string): void => void told.push({ ...fields, message });
    const log: Log = { debug: () => {}, info: write, warn: () => {}, error: () => {}, child: () => log };
    await using server = await testServer({
      clock,
      log,
      ...(slowRequestMs === undefined ? {} : { slowRequestMs }),
      admission: () => [
        {
          name: 'ValidatingAdmissionWebhook',
          handles: (operation, definition) => operation === 'CREATE' && definition?.resource.plural === 'secrets',
          validate: () => clock.advance(1500),
        },
      ],
    });
    told.length = 0;
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { password: 'hunter2' } };
    const headers = { authorization: 'Bearer very-secret' };
    await server.ask('POST', '/api/v1/namespaces/default/secrets?pretty=1', secret, headers);
    await server.ask('GET', `${configMaps}/none`);
    await server.ask('GET', '/version?access_token=very-secret');
    assert.deepEqual(
      told.map(({ verb }) => verb),
      verbs,
    );
    const [{ verb, code, latencyMs, user, uri, bytes, userAgent, message } = {}] = told;
    assert.deepEqual(
      [verb, code, latencyMs, user, uri, userAgent, message],
      [
        'create',
        201,
        1500,
        'admin',
        '/api/v1/namespaces/default/secrets?pretty=1',
        'test/1',
        slowRequestMs === 0 ? 'request' : 'slow request',
      ],
    );
    assert.ok((bytes as number) > 100);
    assert.equal(/hunter2|aHVudGVyMg|very-secret/.test(JSON.stringify(told)), false);
    const families = parsePrometheusText((await server.ask('GET', '/metrics')).body as string);
    const sum = (name: string, labels: object): number | undefined =>
      families.get(name)?.samples.find((one) => one.name.endsWith('_sum') && isDeepStrictEqual(one.labels, labels))
        ?.value;
    const total = (name: string): number | undefined =>
      families
        .get(name)
        ?.samples.find(
          (one) => one.name.endsWith('_sum') && one.labels.resource === 'secrets' && one.labels.verb === 'POST',
        )?.value;
    assert.equal(total('apiserver_request_duration_seconds'), 1.5);
    assert.equal(total('apiserver_request_sli_duration_seconds'), 0, 'the time of webhooks is not the server’s');
    const labels = { type: 'validate', operation: 'CREATE', rejected: 'false' };
    assert.equal(sum('apiserver_admission_step_admission_duration_seconds', labels), 1.5);
    assert.equal(
      sum('apiserver_admission_controller_admission_duration_seconds', {
        name: 'ValidatingAdmissionWebhook',
        ...labels,
      }),
      1.5,
    );
  }
});

test('the text does not grow with what clients make up', { timeout: 120_000 }, async () => {
  await using server = await testServer();
  const random = seededRandom(7);
  const word = (): string => random.uuid().replaceAll('-', '');
  const hammer = async (times: number): Promise<number> => {
    for (let i = 0; i < times; i++) {
      const headers = { 'user-agent': word(), 'audit-id': word(), 'content-type': `application/${word()}` };
      const paths = [
        `/${word()}`,
        `/api/v1/${word()}`,
        `/apis/${word()}/v1/${word()}`,
        `${configMaps}/${word()}`,
        `/api/v1/namespaces/${word()}/endpoints/a/${word()}`,
        `${configMaps}?labelSelector=${word()}&watch=false&dryRun=${word()}`,
        `/readyz/${word()}?exclude=${word()}`,
      ];
      for (const path of paths) await server.ask('GET', path, undefined, headers);
      await server.ask(word().toUpperCase().slice(0, 6), configMaps, undefined, headers);
      await server.ask('PATCH', `${configMaps}/${word()}?dryRun=${word()}`, {}, headers);
    }
    return parsePrometheusText((await server.ask('GET', '/metrics')).body as string)
      .values()
      .reduce((sum, { samples }) => sum + samples.length, 0);
  };
  await hammer(20);
  const before = await hammer(20);
  assert.equal(await hammer(300), before);
});
