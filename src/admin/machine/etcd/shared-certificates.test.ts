import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '#base';
import { openFile, parseCertificateKey, sealFile } from './shared-certificates.ts';

test('a file opens with its key and with no other, and not when it was changed', () => {
  const key = systemRandom.bytes(32);
  const sealed = sealFile(key, Buffer.from('secret'), systemRandom);
  assert.equal(openFile(key, sealed).toString(), 'secret');
  assert.throws(() => openFile(systemRandom.bytes(32), sealed), { code: 'CertificateKey' });
  sealed[14] = (sealed[14] ?? 0) ^ 1;
  assert.throws(() => openFile(key, sealed), { code: 'CertificateKey' });
  assert.equal(parseCertificateKey('ab'.repeat(32)).length, 32);
  assert.throws(() => parseCertificateKey('abc'), { code: 'WrongUsage' });
});
