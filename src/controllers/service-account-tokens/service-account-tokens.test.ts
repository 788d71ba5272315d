import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resource, type Secret, type ServiceAccount } from '#api';
import { generateKey, verifySecretToken } from '#pki';
import { startCluster } from '#testkit';

const secrets = resource('v1', 'secrets');
const accounts = resource('v1', 'serviceaccounts');
const type = 'kubernetes.io/service-account-token';

test('a Secret for a ServiceAccount gets a token, keeps it, and goes with the account', async () => {
  const key = generateKey();
  await using cluster = await startCluster({ nodes: 0, settings: { serviceAccountKey: () => key.privateKey } });
  const { client } = cluster;
  const filled = (names: string) =>
    cluster.waitForOne<Secret>(
      secrets,
      'robot-token',
      ({ data }) =>
        Object.keys(data ?? {})
          .sort()
          .join() === names,
    );
  const account = await client.create<ServiceAccount>(accounts, {
    metadata: { namespace: 'default', name: 'robot' },
  });
  await client.create<Secret>(secrets, {
    metadata: {
      ...{ namespace: 'default', name: 'robot-token' },
      annotations: { 'kubernetes.io/service-account.name': 'robot' },
    },
    type,
    data: { mine: 'eA==' },
  });
  const { data = {}, metadata } = await filled('ca.crt,mine,namespace,token');
  const text = (name: string): string => Buffer.from(String(data[name]), 'base64').toString();
  assert.deepEqual(verifySecretToken(text('token'), [key.publicKey]), {
    ...{ namespace: 'default', secretName: 'robot-token' },
    serviceAccount: { name: 'robot', uid: account.metadata.uid },
  });
  assert.deepEqual([text('namespace'), text('ca.crt'), text('mine')], ['default', 'test CA', 'x']);
  assert.equal(metadata.annotations?.['kubernetes.io/service-account.uid'], account.metadata.uid);

  const body = { data: { 'ca.crt': null, mine: null } };
  await client.patch(secrets, 'robot-token', { type: 'merge', body }, { namespace: 'default' });
  const again = await filled('ca.crt,namespace,token');
  assert.deepEqual([again.data?.['ca.crt'], again.data?.token], [data['ca.crt'], data.token]);

  await client.delete(accounts, 'robot', { namespace: 'default' });
  await cluster.waitFor<Secret>(secrets, (all) => all.length === 0);
});
