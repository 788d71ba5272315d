import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { type ChannelProtocol, channel, decodeMessage, encodeMessage } from './channels.ts';
import type { SpdyConnection, SpdyStream } from './spdy/connection.ts';
import { sendMessage, writeHeldBack } from './websocket.ts';

export interface CommandStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/**
 * Lets a WebSocket client talk to a process behind a SPDY streaming server (exec and attach): opens the streams there and carries
 * data, resizes and the final status between the two. Resolves when either side is done; both are closed then.
 */
export async function bridgeRemoteCommand(options: {
  readonly socket: WebSocket;
  readonly protocol: ChannelProtocol;
  readonly connection: SpdyConnection;
  readonly streams: CommandStreams;
}): Promise<void> {
  const { socket, protocol, connection, streams } = options;
  const early: Buffer[] = [];
  const keepEarly = (data: unknown): void => void early.push(data as Buffer);
  socket.on('message', keepEarly);
  const open = (type: string): Promise<SpdyStream> => connection.open({ streamtype: type });
  const error = await open('error');
  const stdin = streams.stdin ? await open('stdin') : undefined;
  const stdout = streams.stdout ? await open('stdout') : undefined;
  const stderr = streams.stderr && !streams.tty ? await open('stderr') : undefined;
  const resize = streams.tty ? await open('resize') : undefined;
  const writable = new Map<number, Duplex>();
  if (stdin !== undefined) writable.set(channel.stdin, stdin);
  if (resize !== undefined) writable.set(channel.resize, resize);
  for (const one of writable.values()) one.resume();
  error.end();

  const receive = (message: Buffer): void => {
    const parsed = decodeMessage(protocol, message);
    if (parsed === undefined) return;
    if (parsed.number === channel.close && protocol.version === 5) {
      writable.get(parsed.data[0] ?? -1)?.end();
      return;
    }
    const stream = writable.get(parsed.number);
    if (stream !== undefined && parsed.data.length > 0) writeHeldBack(socket, stream, parsed.data);
  };
  socket.off('message', keepEarly);
  for (const message of early) receive(message);
  socket.on('message', (data) => receive(data as Buffer));
  socket.on('close', () => connection.close());

  const lowest = stdout !== undefined ? channel.stdout : stderr !== undefined ? channel.stderr : channel.error;
  const send = (number: number, data: Uint8Array): Promise<void> =>
    sendMessage(socket, encodeMessage(protocol, number, data));
  const carry = async (stream: SpdyStream | undefined, number: number): Promise<void> => {
    if (stream === undefined) return;
    for await (const chunk of stream) await send(number, chunk as Buffer);
  };
  try {
    await send(lowest, new Uint8Array(0));
    const status = collect(error);
    await Promise.allSettled([carry(stdout, channel.stdout), carry(stderr, channel.stderr), status]);
    const verdict = statusMessage(protocol, await status.catch(() => Buffer.alloc(0)));
    if (verdict.length > 0 && socket.readyState === 1) await send(channel.error, verdict);
  } catch {
    // The client went away: there is nobody left to tell.
  } finally {
    if (socket.readyState <= 1) socket.close(1000);
    connection.close();
  }
}

async function collect(stream: SpdyStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Version 1 says nothing for success and plain words for an error; later ones the Status itself. */
function statusMessage(protocol: ChannelProtocol, status: Buffer): Buffer {
  if (protocol.version !== 1 || status.length === 0) return status;
  try {
    const { status: outcome, message = '' } = JSON.parse(status.toString('utf8')) as {
      status?: string;
      message?: string;
    };
    return outcome === 'Success' ? Buffer.alloc(0) : Buffer.from(message);
  } catch {
    return status;
  }
}
