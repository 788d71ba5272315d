import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { seededRandom, silentLog } from '#base';
import { testServer } from '../../test-server.ts';
import { caBundle, hookServer } from './test-hook.ts';
import { mutatingWebhooks, validatingWebhooks } from './webhooks.admission.ts';

const maps = '/api/v1/namespaces/default/configmaps';
const collection = '/apis/admissionregistration.k8s.io/v1';

const open = () =>
  testServer({
    admission(objects, authorizer) {
      const options = {
        objects,
        authorizer: authorizer as never,
        clock: undefined as never,
        random: seededRandom(3),
        log: silentLog,
      };
      return [mutatingWebhooks(options), validatingWebhooks(options)];
    },
  });

const webhook = (url: string): object => ({
  name: 'w.example.com',
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
  failurePolicy: 'Fail',
  timeoutSeconds: 2,
  clientConfig: { url, caBundle },
  rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'], scope: '*' }],
});

test('a webhook that answers with something else: nothing of it is repeated, nothing is followed, nobody waits', async () => {
  let visits = 0;
  const trap = createServer((socket) => {
    visits++;
    socket.destroy();
  });
  trap.listen(0, '127.0.0.1').unref();
  await once(trap, 'listening');
  const elsewhere = `https://127.0.0.1:${(trap.address() as AddressInfo).port}/inner`;
  const secret = 'the-inner-secret';
  let how = '';
  await using hook = await hookServer((_review, _request, response) => {
    if (how === 'fine') return { allowed: true };
    if (/^3/.test(how)) response.writeHead(Number(how), { location: elsewhere }).end(secret);
    else if (/^[245]/.test(how)) response.writeHead(Number(how)).end(secret);
    else if (how === 'drip') {
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 50);
      response.on('close', () => clearInterval(drip));
    } else if (how === 'flood') {
      response.writeHead(200);
      response.on('error', () => {});
      const more = (): void => {
        while (!response.destroyed && response.write(secret.repeat(4096)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    } else if (how === 'list') response.end(JSON.stringify([secret]));
    else if (how === 'patch') {
      const copies = Array.from({ length: 40 }, (_, i) => ({ op: 'copy', from: '', path: `/data/c${i}` }));
      return { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(copies)).toString('base64') };
    }
    return undefined;
  });
  await using one = await open();
  for (const kind of ['Validating', 'Mutating']) {
    const configurations = `${collection}/${kind.toLowerCase()}webhookconfigurations`;
    assert.equal(
      (await one.ask('POST', configurations, { metadata: { name: 'x' }, webhooks: [webhook(hook.url)] })).status,
      201,
    );
    for (how of [
      '301',
      '302',
      '303',
      '307',
      '308',
      '200',
      '204',
      '401',
      '403',
      '404',
      '500',
      '503',
      'drip',
      'flood',
      'list',
      'patch',
    ]) {
      const asked = hook.calls.length;
      const began = performance.now();
      const answer = await one.ask('POST', maps, {
        metadata: { name: `${kind.toLowerCase()}-${how}` },
        data: { text: 'x'.repeat(10_000) },
      });
      if (how === 'patch' && kind === 'Validating') {
        // What only validates changes nothing.
        assert.ok(answer.status === 201 ? answer.body.data.c0 === undefined : answer.status >= 400);
        continue;
      }
      assert.equal(answer.status, 500, `${kind} ${how}: ${JSON.stringify(answer.body).slice(0, 300)}`);
      assert.match(
        answer.body.message,
        how === 'patch' ? /an error in our request/ : /failed calling webhook "w\.example\.com"/,
        how,
      );
      assert.doesNotMatch(JSON.stringify([answer.body, answer.headers]), /inner/, how);
      assert.equal(hook.calls.length, asked + 1, `${how}: asked once`);
      assert.ok(performance.now() - began < 20_000, how);
    }
    how = 'fine';
    assert.equal((await one.ask('POST', maps, { metadata: { name: `${kind.toLowerCase()}-fine` } })).status, 201);
    await one.ask('DELETE', `${configurations}/x`);
  }
  assert.equal(visits, 0);
  trap.close();
});
