import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice } from '#api';
import { planApiServers } from './api-servers.ts';

const slice = (namespace: string, addresses: readonly string[]): EndpointSlice =>
  ({
    metadata: { name: 'kubernetes', namespace },
    endpoints: addresses.map((one) => ({ addresses: [one] })),
    ports: [{ name: 'https', port: 7443 }],
  }) as unknown as EndpointSlice;

test('the kubeconfig’s server comes first while it lives, and last when it does not', () => {
  const slices = [slice('default', ['10.0.0.2', '10.0.0.1', 'fd00::3']), slice('other', ['10.9.9.9'])];
  assert.deepEqual(planApiServers(slices, 'https://10.0.0.2:7443'), [
    'https://10.0.0.2:7443',
    'https://10.0.0.1:7443',
    'https://[fd00::3]:7443',
  ]);
  assert.deepEqual(planApiServers([slice('default', ['10.0.0.1'])], 'https://api.example:6443'), [
    'https://10.0.0.1:7443',
    'https://api.example:6443',
  ]);
  assert.deepEqual(planApiServers([], 'https://a:1'), ['https://a:1']);
});
