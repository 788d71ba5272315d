import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CertificateSigningRequest, Node } from '#api';
import { createCertificateRequest, parseCertificateRequest } from '#pki';
import { kubeletServingSigner, servingApproval } from './plan.ts';

const node = (name: string, address: string): Node =>
  ({ metadata: { name }, spec: {}, status: { addresses: [{ type: 'InternalIP', address }] } }) as unknown as Node;
const nodes = [node('master', '10.0.0.1'), node('worker1', '10.0.0.2')];

function ask(options: {
  username?: string;
  groups?: string[];
  dnsNames?: string[];
  ipAddresses?: string[];
  commonName?: string;
}): boolean | undefined {
  const { requestPem } = createCertificateRequest({
    commonName: options.commonName ?? 'system:node:worker1',
    organizations: ['system:nodes'],
    dnsNames: options.dnsNames ?? ['worker1'],
    ipAddresses: options.ipAddresses ?? ['10.0.0.2', '127.0.0.1'],
  });
  const csr = {
    spec: {
      signerName: kubeletServingSigner,
      username: options.username ?? 'system:node:worker1',
      groups: options.groups ?? ['system:nodes', 'system:authenticated'],
      usages: ['digital signature', 'server auth'],
    },
  } as unknown as CertificateSigningRequest;
  return servingApproval(csr, parseCertificateRequest(requestPem), nodes);
}

test('a kubelet gets a serving certificate for its own name and the addresses its Node reports', () => {
  assert.equal(ask({}), true);
  assert.equal(ask({ ipAddresses: ['10.0.0.2'], dnsNames: [] }), true);
});

test("a serving certificate is left to a person: for another node, another's address or name, or asked by someone else", () => {
  assert.equal(ask({ commonName: 'system:node:master', dnsNames: ['master'], ipAddresses: ['10.0.0.1'] }), false);
  assert.equal(ask({ ipAddresses: ['10.0.0.2', '10.0.0.1'] }), false);
  assert.equal(ask({ dnsNames: ['worker1', 'kubernetes.default.svc'] }), false);
  assert.equal(ask({ username: 'mallory' }), false);
  assert.equal(ask({ groups: ['system:authenticated'] }), false);
});

test('an address that the Node does not report yet is waited for', () => {
  assert.equal(ask({ ipAddresses: ['10.0.0.7'] }), undefined);
  const new4 = {
    commonName: 'system:node:new',
    username: 'system:node:new',
    dnsNames: ['new'],
    ipAddresses: ['10.0.0.4'],
  };
  assert.equal(ask(new4), undefined);
});
