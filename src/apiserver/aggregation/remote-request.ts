import type { IncomingMessage } from 'node:http';
import type { Clock } from '#base';
import type { Backend } from '../streams/backend.ts';
import { dialFailure } from '../streams/dial-failure.ts';

export interface RemoteAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

export interface RemoteQuestion {
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Of the body; more is an error. */
  readonly largestBytes: number;
}

/** `https://10.0.0.1:443/apis/…`, as messages name it. */
export function urlOf({ scheme, host, port, target }: Backend): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${target}`;
}

/** One GET of the server's own to another server, over TLS. Follows nothing. Throws in upstream's words when there is no answer. */
export async function askRemote(backend: Backend, question: RemoteQuestion): Promise<RemoteAnswer> {
  const { request } = await import('node:https');
  const { clock, timeoutMs, largestBytes, headers } = question;
  const url = urlOf(backend);
  const failed = (why: string): Error => new Error(`Get ${JSON.stringify(url)}: ${why}`);
  return new Promise((resolve, reject) => {
    const asking = request({
      ...{ method: 'GET', host: backend.host, port: backend.port, path: backend.target, agent: false },
      headers: { accept: 'application/json', ...headers },
      ...backend.tls,
      minVersion: 'TLSv1.2',
    });
    const timer = clock.setTimer(() => asking.destroy(new Error('context deadline exceeded')), timeoutMs);
    asking.on('close', () => timer.cancel());
    asking.on('error', (error) => reject(failed(dialFailure(error))));
    asking.on('upgrade', () => asking.destroy(new Error('it switched protocols unasked')));
    asking.on('response', (response) => {
      collect(response, largestBytes).then(
        (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        (error: unknown) => {
          asking.destroy();
          reject(failed(dialFailure(error)));
        },
      );
    });
    asking.end();
  });
}

async function collect(response: IncomingMessage, largestBytes: number): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response) {
    length += (part as Buffer).length;
    if (length > largestBytes) throw new Error(`the answer is longer than ${largestBytes} bytes`);
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}
