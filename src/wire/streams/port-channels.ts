import type { WebSocket } from 'ws';
import { type ChannelProtocol, decodeMessage, encodeMessage } from './channels.ts';
import type { SpdyConnection, SpdyStream } from './spdy/connection.ts';
import { sendMessage, writeHeldBack } from './websocket.ts';

/**
 * Port-forward over WebSocket channels: ports known from the start, two channels each (data, error), each announced by a message
 * with the port's number as two bytes, little-endian. Resolves when the client leaves.
 */
export async function bridgePortChannels(options: {
  readonly socket: WebSocket;
  readonly protocol: ChannelProtocol;
  readonly connection: SpdyConnection;
  readonly ports: readonly number[];
}): Promise<void> {
  const { socket, protocol, connection, ports } = options;
  const data = new Map<number, SpdyStream>();
  const send = (number: number, bytes: Uint8Array): Promise<void> =>
    sendMessage(socket, encodeMessage(protocol, number, bytes));
  const carry = async (stream: SpdyStream, number: number): Promise<void> => {
    for await (const chunk of stream) await send(number, chunk as Buffer);
  };
  socket.on('close', () => connection.close());
  socket.on('message', (message) => {
    const parsed = decodeMessage(protocol, message as Buffer);
    const stream = parsed === undefined ? undefined : data.get(parsed.number);
    if (parsed !== undefined && stream !== undefined) writeHeldBack(socket, stream, parsed.data);
  });
  // A client that speaks first is heard when there is somebody to hand it on to.
  socket.pause();
  try {
    for (const [at, port] of ports.entries()) {
      const headers = { port: String(port), requestid: String(at) };
      const error = await connection.open({ ...headers, streamtype: 'error' });
      error.end();
      const stream = await connection.open({ ...headers, streamtype: 'data' });
      data.set(2 * at, stream);
      const announced = Buffer.alloc(2);
      announced.writeUInt16LE(port, 0);
      await send(2 * at, announced);
      await send(2 * at + 1, announced);
      void carry(stream, 2 * at).catch(() => connection.close());
      void carry(error, 2 * at + 1).catch(() => connection.close());
    }
    socket.resume();
    await connection.closed;
  } catch {
    // The client went away: there is nobody left to tell.
  } finally {
    socket.resume();
    connection.close();
    if (socket.readyState <= 1) socket.close(1000);
  }
}
