import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { offeredProtocols } from './channels.ts';
import { acceptWebSocket, sendMessage } from './websocket.ts';

/** Sub-protocols of a plain stream of bytes over WebSocket (logs); a client that names none gets binary messages. */
const byteProtocols = ['', 'binary.k8s.io', 'base64.binary.k8s.io'] as const;

/** The sub-protocol to send bytes with, or undefined when the client offers none that is known. */
export function negotiateBytes(offered: readonly string[]): string | undefined {
  return offered.length === 0 ? '' : offered.find((name) => name !== '' && byteProtocols.includes(name as never));
}

/**
 * Answers a WebSocket handshake and sends a stream of bytes as messages, then closes: a container's log for clients that cannot read
 * a streamed body. Ends early when the client leaves. The caller has refused clients for whom `negotiateBytes` finds nothing.
 */
export async function sendBytesOverWebSocket(options: {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly chunks: AsyncIterable<Uint8Array>;
}): Promise<void> {
  const { request, socket, head, chunks } = options;
  const protocol = negotiateBytes(offeredProtocols(request.headers['sec-websocket-protocol'])) ?? '';
  const accepted = await acceptWebSocket(request, { socket, head }, protocol);
  const encode = (chunk: Uint8Array): Buffer | string =>
    protocol.startsWith('base64.') ? Buffer.from(chunk).toString('base64') : Buffer.from(chunk);
  try {
    for await (const chunk of chunks) {
      if (accepted.readyState !== 1) return;
      await sendMessage(accepted, encode(chunk));
    }
  } finally {
    if (accepted.readyState <= 1) accepted.close(1000);
  }
}
