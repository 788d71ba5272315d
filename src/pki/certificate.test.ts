import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  coversNames,
  createAuthority,
  createCertificateRequest,
  issueCertificate,
  parseCertificate,
  parseCertificateRequest,
  signCertificateRequest,
} from './index.ts';
import { addressBytes, encodeAlternativeNames, parseAlternativeNames } from './alternative-names.ts';
import { DerReader, oid, oidText, sequence, set, tag, time, timeMs, utf8String, der } from './der.ts';
import { encodeName, parseName } from './name.ts';
import { decodePem, encodePem } from './pem.ts';

const nowMs = Date.UTC(2026, 0, 1);
const ca = createAuthority({ commonName: 'test', days: 10, nowMs });

test('names that look like other names stay what they are', () => {
  for (const [name, organizations] of [
    ['jane/O=system:masters', []],
    ['jane, O=system:masters', ['a,b', 'system:masters\u0000']],
    ['jane\nO=system:masters', ['ü']],
    ['', ['only groups']],
  ] as const) {
    const { certificatePem } = issueCertificate(ca, {
      commonName: name,
      organizations,
      usages: ['client'],
      days: 1,
      nowMs,
    });
    const { subject } = parseCertificate(certificatePem);
    assert.equal(subject.commonName, name);
    assert.deepEqual([...subject.organizations].sort(), [...organizations].sort());
  }
});

test('multi-valued sets and repeated attributes are all read', () => {
  const attribute = (type: string, value: string): Uint8Array => sequence(oid(type), utf8String(value));
  const name = sequence(
    set(attribute('2.5.4.3', 'first'), attribute('2.5.4.10', 'a')),
    set(attribute('2.5.4.10', 'b')),
    set(attribute('2.5.4.3', 'last')),
  );
  const read = parseName(new DerReader(name).read());
  assert.equal(read.commonName, 'last');
  assert.deepEqual(read.organizations, ['a', 'b']);
  assert.throws(
    () =>
      parseName(
        new DerReader(sequence(set(sequence(oid('2.5.4.3'), der(tag.utf8String, Uint8Array.of(0xff)))))).read(),
      ),
    /not UTF-8/,
  );
});

test('DER: round trips, and no length that is not minimal or too long', () => {
  for (const dotted of ['1.2.840.10045.2.1', '2.5.4.3', '1.3.6.1.5.5.7.3.1', '2.999.1']) {
    const element = new DerReader(oid(dotted)).read(tag.oid);
    assert.equal(oidText(element.content), dotted);
  }
  for (const ms of [
    Date.UTC(1999, 11, 31, 23, 59, 59),
    Date.UTC(2049, 11, 31),
    Date.UTC(2050, 0, 1),
    Date.UTC(9999, 11, 31),
  ]) {
    assert.equal(timeMs(new DerReader(time(ms)).read()), ms);
  }
  for (const bad of [
    [0x30, 0x81, 0x01, 0],
    [0x30, 0x80],
    [0x30, 5, 0],
    [0x1f, 0x81, 0],
    [0x30, 0x85, 0, 0, 0, 0, 0],
  ]) {
    assert.throws(() => new DerReader(Uint8Array.from(bad)).read(), { code: 'Malformed' });
  }
});

test('certificates of any length of text, cut or flipped, never break the reader in another way', () => {
  const { certificatePem } = issueCertificate(ca, {
    commonName: 'x',
    usages: ['client'],
    dnsNames: ['a.b'],
    ipAddresses: ['::1'],
    days: 1,
    nowMs,
  });
  const whole = decodePem(certificatePem)[0]?.bytes as Uint8Array;
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, cut) => {
      const bytes = whole.slice(0, Math.max(1, cut));
      if (at < bytes.length) bytes[at] = byte;
      try {
        parseCertificate(bytes);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'Malformed', String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('a request is checked against its own key, signed, and keeps subject and names', () => {
  const { requestPem } = createCertificateRequest({
    commonName: 'system:node:n',
    organizations: ['system:nodes'],
    dnsNames: ['n'],
    ipAddresses: ['10.0.0.1'],
  });
  const request = parseCertificateRequest(requestPem);
  assert.equal(request.subject.commonName, 'system:node:n');
  const certificate = parseCertificate(
    signCertificateRequest(ca, request, { usages: ['client'], notBeforeMs: nowMs, notAfterMs: nowMs + 1e12 }),
  );
  assert.deepEqual(certificate.subject.organizations, ['system:nodes']);
  assert.deepEqual(certificate.names.dnsNames, ['n']);
  assert.deepEqual(certificate.names.ipAddresses, ['10.0.0.1']);
  assert.equal(certificate.notAfterMs, ca.certificate.notAfterMs);
  const bytes = Uint8Array.from(decodePem(requestPem)[0]?.bytes as Uint8Array);
  const at = Buffer.from(bytes).indexOf('system:nodes');
  bytes[at] = 'X'.charCodeAt(0);
  assert.throws(() => parseCertificateRequest(encodePem('CERTIFICATE REQUEST', bytes)), /signature does not fit/);
  assert.throws(() => parseCertificateRequest(encodePem('CERTIFICATE', bytes)), /must be CERTIFICATE REQUEST/);
});

test('alternative names: addresses by value, wildcards one label deep', () => {
  const names = parseAlternativeNames(
    encodeAlternativeNames(['a.example.com', '*.b.com'], ['10.0.0.1', '2001:db8::1', '::ffff:1.2.3.4']),
  );
  assert.deepEqual(names.ipAddresses, ['10.0.0.1', '2001:db8::1', '::ffff:102:304']);
  assert.equal(coversNames(names, { dnsNames: ['A.example.com', 'x.b.com'], ipAddresses: ['2001:0db8:0::1'] }), true);
  assert.equal(coversNames(names, { dnsNames: ['x.y.b.com'] }), false);
  assert.equal(coversNames(names, { ipAddresses: ['10.0.0.2'] }), false);
  assert.deepEqual([...addressBytes('::')], new Array(16).fill(0));
});

test('the name encoding is canonical: equal names, equal bytes', () => {
  assert.deepEqual(encodeName('a', ['x', 'y']), encodeName('a', ['y', 'x']));
});
