import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeMessage, encodeMessage, negotiateChannels, offeredProtocols } from './channels.ts';

test('the client’s first known protocol is spoken', () => {
  assert.equal(negotiateChannels(offeredProtocols('v5.channel.k8s.io, v4.channel.k8s.io'))?.version, 5);
  assert.equal(negotiateChannels(['nonsense', 'base64.channel.k8s.io'])?.base64, true);
  assert.equal(negotiateChannels([])?.name, '');
  assert.equal(negotiateChannels(['nonsense']), undefined);
});

test('messages round-trip in both codings', () => {
  for (const name of ['v4.channel.k8s.io', 'base64.channel.k8s.io']) {
    const protocol = negotiateChannels([name]);
    assert.ok(protocol);
    const message = encodeMessage(protocol, 2, Buffer.from([0, 255, 10]));
    assert.equal(typeof message, protocol.base64 ? 'string' : 'object');
    assert.deepEqual(decodeMessage(protocol, Buffer.from(message as string)), {
      number: 2,
      data: Buffer.from([0, 255, 10]),
    });
    assert.equal(decodeMessage(protocol, Buffer.alloc(0)), undefined);
  }
});
