import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  acceptUpgrade,
  acceptWebSocket,
  bridgePortChannels,
  bridgeRemoteCommand,
  type CommandStreams,
  dialUpgrade,
  negotiateChannels,
  offeredProtocols,
  SpdyConnection,
  tunnel,
  tunnelWebSocket,
} from '#wire';
import type { Cri } from '../cri/contract.ts';

const remoteCommandProtocol = 'v4.channel.k8s.io';
const portForwardProtocol = 'portforward.k8s.io';
const tunnelledPortForward = 'SPDY/3.1+portforward.k8s.io';

export interface StreamingRequest {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** A request to stream that cannot be served; the message goes to the client. */
export class StreamingError extends Error {
  readonly statusCode: number;
  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

export function commandStreams(query: URLSearchParams): CommandStreams {
  const asked = (...names: string[]): boolean => names.some((name) => ['1', 'true'].includes(query.get(name) ?? ''));
  const tty = asked('tty');
  return {
    tty,
    stdin: asked('stdin', 'input'),
    stdout: asked('stdout', 'output'),
    stderr: asked('stderr', 'error') && !tty,
  };
}

export function portsOf(query: URLSearchParams): number[] {
  const ports = [...query.getAll('port'), ...query.getAll('ports')].flatMap((list) => list.split(',')).map(Number);
  if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65_535))
    throw new StreamingError(400, 'invalid port in the request');
  return ports;
}

/** Connects a client with a process: SPDY as it comes, WebSocket translated. Resolves when the connection is over. */
export async function streamCommand(incoming: StreamingRequest, url: string, streams: CommandStreams): Promise<void> {
  const { request, socket, head } = incoming;
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    throw new StreamingError(400, 'you must specify at least 1 of stdin, stdout, stderr');
  }
  if (isWebSocket(request)) {
    const offered = offeredProtocols(request.headers['sec-websocket-protocol']);
    const protocol = negotiateChannels(offered);
    if (protocol === undefined)
      throw new StreamingError(403, `unable to negotiate protocol: client offered ${offered.join(', ')}`);
    const far = await dialSpdy(url, remoteCommandProtocol);
    const connection = new SpdyConnection({ socket: far.socket, head: far.head, side: 'client' });
    try {
      const accepted = await acceptWebSocket(request, { socket, head }, protocol.name);
      await bridgeRemoteCommand({ socket: accepted, protocol, connection, streams });
    } finally {
      connection.close();
    }
    return;
  }
  await tunnelSpdy(incoming, url);
}

/** Connects a client with a pod's ports: raw SPDY, SPDY inside a WebSocket, or numbered channels. */
export async function streamPorts(incoming: StreamingRequest, url: string, ports: readonly number[]): Promise<void> {
  const { request, socket, head } = incoming;
  if (!isWebSocket(request)) return tunnelSpdy(incoming, url);
  const offered = offeredProtocols(request.headers['sec-websocket-protocol']);
  if (offered.includes(tunnelledPortForward)) {
    const far = await dialSpdy(url, portForwardProtocol);
    const accepted = await acceptWebSocket(request, { socket, head }, tunnelledPortForward);
    if (far.head.length > 0) far.socket.unshift(far.head);
    return tunnelWebSocket(accepted, far.socket);
  }
  const protocol = negotiateChannels(offered);
  if (protocol === undefined || ports.length === 0)
    throw new StreamingError(400, 'port-forward over WebSocket channels needs ports in the query');
  const far = await dialSpdy(url, portForwardProtocol);
  const connection = new SpdyConnection({ socket: far.socket, head: far.head, side: 'client' });
  const accepted = await acceptWebSocket(request, { socket, head }, protocol.name);
  await bridgePortChannels({ socket: accepted, protocol, connection, ports });
}

function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket';
}

function dialSpdy(url: string, protocol: string): ReturnType<typeof dialUpgrade> {
  return dialUpgrade({
    url,
    method: 'POST',
    upgrade: 'SPDY/3.1',
    headers: { 'X-Stream-Protocol-Version': protocol, 'Content-Length': '0' },
  });
}

async function tunnelSpdy({ request, socket, head }: StreamingRequest, url: string): Promise<void> {
  const { upgrade } = request.headers;
  if (upgrade?.toLowerCase() !== 'spdy/3.1')
    throw new StreamingError(400, 'unable to upgrade: missing upgrade headers in request');
  const versions = request.headersDistinct['x-stream-protocol-version'] ?? [];
  const far = await dialUpgrade({
    url,
    method: 'POST',
    upgrade: 'SPDY/3.1',
    headers: { 'Content-Length': '0', ...(versions.length === 0 ? {} : { 'X-Stream-Protocol-Version': versions }) },
  });
  const chosen = far.headers['x-stream-protocol-version'];
  acceptUpgrade(socket, {
    Connection: 'Upgrade',
    Upgrade: 'SPDY/3.1',
    ...(chosen === undefined ? {} : { 'X-Stream-Protocol-Version': String(chosen) }),
  });
  if (head.length > 0) far.socket.write(head);
  if (far.head.length > 0) socket.write(far.head);
  await tunnel(socket, far.socket);
}

export async function execUrl(cri: Cri, containerId: string, query: URLSearchParams): Promise<string> {
  const command = query.getAll('command');
  if (command.length === 0) throw new StreamingError(400, 'you must specify at least one command for the container');
  return cri.execUrl({ container_id: containerId, cmd: command, ...commandStreams(query) });
}
