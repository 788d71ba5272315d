import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

const largestMessage = 32 << 20;

/**
 * Completes a WebSocket handshake with the sub-protocol chosen (empty: none). The request's origin is not judged here.
 * Sub-protocols are negotiated by the caller: names such as `SPDY/3.1+portforward.k8s.io` are no tokens, and a strict parser refuses them.
 */
export async function acceptWebSocket(
  request: IncomingMessage,
  connection: { readonly socket: Duplex; readonly head: Buffer },
  protocol: string,
): Promise<WebSocket> {
  const { WebSocketServer } = await import('ws');
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: largestMessage,
  });
  const { 'sec-websocket-protocol': _, ...headers } = request.headers;
  request.headers = headers;
  if (protocol !== '') server.on('headers', (lines: string[]) => lines.push(`Sec-WebSocket-Protocol: ${protocol}`));
  return new Promise((resolve, reject) => {
    connection.socket.once('error', reject);
    server.once('wsClientError', reject);
    server.handleUpgrade(request, connection.socket, connection.head, (socket) => {
      connection.socket.off('error', reject);
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

/** Sends one message and resolves when the connection took it: the caller goes no faster than the reader. */
export function sendMessage(socket: WebSocket, data: Buffer | string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(data, (error) => (error ? reject(error) : resolve()));
  });
}

/** Writes to a stream and holds the WebSocket back while the stream is full. */
export function writeHeldBack(socket: WebSocket, stream: Duplex, data: Buffer): void {
  if (stream.destroyed || stream.writableEnded) return;
  if (stream.write(data)) return;
  socket.pause();
  const resume = (): void => {
    stream.off('drain', resume);
    stream.off('close', resume);
    socket.resume();
  };
  stream.on('drain', resume);
  stream.on('close', resume);
}

/** Joins a WebSocket of binary messages to a raw connection, as `SPDY/3.1+portforward.k8s.io` does. */
export function tunnelWebSocket(socket: WebSocket, far: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      far.destroy();
      if (socket.readyState <= 1) socket.close(1000);
      resolve();
    };
    socket.on('message', (data) => writeHeldBack(socket, far, data as Buffer));
    socket.on('close', end);
    far.on('error', end);
    far.on('close', end);
    void (async () => {
      try {
        for await (const chunk of far) await sendMessage(socket, chunk as Buffer);
      } catch {}
      end();
    })();
  });
}
