import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { nodeHttp } from '#base';

export interface UpgradeTarget {
  /** Where to dial, `http://127.0.0.1:40123/exec/TOKEN`. Redirects are never followed. */
  readonly url: string;
  readonly method: 'GET' | 'POST';
  /** `SPDY/3.1` or `websocket`. */
  readonly upgrade: string;
  /** A list is sent as one header line each. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Time to the answer; default 30 s. */
  readonly timeoutMs?: number;
}

/** The other side agreed to change protocols. */
export interface UpgradedConnection {
  readonly socket: Duplex;
  /** What came after the answer's head already. */
  readonly head: Buffer;
  readonly headers: IncomingMessage['headers'];
}

/** The other side answered, but not with 101. */
export class UpgradeRefused extends Error {
  readonly statusCode: number;
  readonly body: string;
  readonly contentType: string;
  constructor(statusCode: number, body: string, contentType: string) {
    super(`upgrade refused with ${statusCode}: ${body.slice(0, 200)}`);
    this.statusCode = statusCode;
    this.body = body;
    this.contentType = contentType;
  }
}

const longestRefusal = 64 << 10;

/** Dials and asks for another protocol. Throws UpgradeRefused for any answer but 101. */
export function dialUpgrade(target: UpgradeTarget): Promise<UpgradedConnection> {
  const { url, method, upgrade, headers = {}, timeoutMs = 30_000 } = target;
  return new Promise((resolve, reject) => {
    const asked: ClientRequest = nodeHttp.request(url, {
      method,
      agent: false,
      headers: { ...headers, Connection: 'Upgrade', Upgrade: upgrade },
    });
    asked.setTimeout(timeoutMs, () => asked.destroy(new Error(`no answer to the upgrade within ${timeoutMs} ms`)));
    asked.on('error', reject);
    asked.on('upgrade', (response, socket, head) => {
      asked.setTimeout(0);
      socket.setTimeout(0);
      socket.setNoDelay(true);
      if (response.statusCode === 101) return resolve({ socket, head, headers: response.headers });
      socket.destroy();
      reject(new UpgradeRefused(response.statusCode ?? 502, '', 'text/plain'));
    });
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= longestRefusal) chunks.push(chunk);
        else response.destroy();
      });
      response.on('close', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        reject(new UpgradeRefused(response.statusCode ?? 502, body, response.headers['content-type'] ?? 'text/plain'));
      });
    });
    asked.end();
  });
}

/** Tells a client on a raw connection that the protocol changes now. */
export function acceptUpgrade(socket: Duplex, headers: Readonly<Record<string, string>>): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
}

/** Answers an upgrade request with an error and closes: nothing that comes after it on the connection is read. */
export function refuseUpgrade(
  socket: Duplex,
  statusCode: number,
  body: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  const bytes = Buffer.from(body);
  socket.on('error', () => {});
  socket.end(
    `HTTP/1.1 ${statusCode} ${nodeHttp.STATUS_CODES[statusCode] ?? 'Error'}\r\nContent-Type: ${contentType}\r\nContent-Length: ${bytes.length}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}

/** Joins two raw connections until either ends; both are then closed. */
export function tunnel(near: Duplex, far: Duplex): Promise<void> {
  return new Promise((resolve) => {
    let open = 2;
    const end = (): void => {
      near.destroy();
      far.destroy();
      resolve();
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', end);
      from.on('close', end);
      from.on('end', () => {
        if (--open === 0) end();
      });
      from.pipe(to);
    }
  });
}
