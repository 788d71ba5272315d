import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testServer } from '../test-server.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';

/** Values of the text form by name and labels; every line must be one of that form, and each family must stand together. */
function read(text: string): Map<string, number> {
  const values = new Map<string, number>();
  const families: string[] = [];
  for (const line of text.trimEnd().split('\n')) {
    const comment = /^# (?:HELP|TYPE) (\S+) /.exec(line);
    const sample = /^([a-z_0-9]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? (\S+)$/i.exec(line);
    assert.ok(comment !== null || sample !== null, line);
    const family = (comment?.[1] ?? sample?.[1] ?? '').replace(/_(bucket|sum|count)$/, '');
    if (families.at(-1) !== family) {
      assert.ok(!families.includes(family), `${family} stands in two places`);
      families.push(family);
    }
    if (sample !== null) values.set(`${sample[1]}${sample[2] ?? ''}`, Number(sample[3]));
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
  while ((values.get(`apiserver_watch_events_total{${kind},kind="ConfigMap"}`) ?? 0) < 4);
  const request = (verb: string, scope: string): string =>
    `verb="${verb}",${kind},resource="configmaps",subresource="",scope="${scope}"`;
  assert.equal(values.get(`apiserver_request_total{${request('CREATE', 'namespace')},code="201"}`), 2);
  assert.equal(values.get(`apiserver_response_sizes_count{${request('LIST', 'namespace')}}`), 1);
  assert.equal(values.get(`apiserver_watch_events_total{${kind},kind="ConfigMap"}`), 4);
  const running = values.get(
    `apiserver_longrunning_requests{verb="WATCH",${kind},resource="configmaps",subresource="",scope="cluster",component="apiserver"}`,
  );
  assert.ok(running !== undefined && running >= 1, `${running}`);
  assert.equal(values.get('apiserver_current_inflight_requests{request_kind="mutating"}'), 0);
  assert.equal(values.get('apiserver_current_inflight_requests{request_kind="readOnly"}'), 1);
  assert.equal(values.get('etcd_request_duration_seconds_count{operation="create",type="configmaps"}'), 2);
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
  for (let i = 0; i < 5000; i++) measures.observe('apiserver_response_sizes', `verb="${i}"`, 10);
  const values = read(measures.lines().join('\n'));
  assert.equal(values.get('apiserver_admission_webhook_admission_duration_seconds_count{name="a\\"b\\\\c\\nd"}'), 1);
  assert.equal([...values.keys()].filter((one) => one.startsWith('apiserver_response_sizes_count')).length, 2000);
});
