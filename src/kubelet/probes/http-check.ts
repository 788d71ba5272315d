import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { nodeHttp } from '#base';

export interface CheckResult {
  readonly result: 'success' | 'failure' | 'unknown';
  readonly output: string;
  /** The check passed with something odd that users should hear of. */
  readonly warning?: boolean;
}

export interface HttpCheck {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

const longestBody = 10 << 10;
const mostRedirects = 10;

/** GET; 200…399 passes. Redirects are followed on the same host only; a redirect away passes with a warning. Certificates are not checked. */
export async function checkHttp(check: HttpCheck): Promise<CheckResult> {
  let { scheme, port, path } = check;
  const url = `${scheme}://${bracketed(check.host)}:${port}${path}`;
  for (let hop = 0; hop <= mostRedirects; hop++) {
    let answer: Answer;
    try {
      answer = await get({ ...check, scheme, port, path });
    } catch (error) {
      return { result: 'failure', output: `Get "${url}": ${error instanceof Error ? error.message : String(error)}` };
    }
    const { statusCode, location, body } = answer;
    if (statusCode >= 300 && statusCode < 400 && location !== undefined) {
      const base = `${scheme}://${bracketed(check.host)}:${port}${path}`;
      if (!URL.canParse(location, base)) return { result: 'success', output: body, warning: true };
      const next = new URL(location, base);
      if (next.hostname.replace(/^\[|\]$/g, '') !== check.host) {
        return { result: 'success', output: `Probe terminated redirects, Response body: ${body}`, warning: true };
      }
      scheme = next.protocol === 'https:' ? 'https' : 'http';
      port = next.port === '' ? (scheme === 'https' ? 443 : 80) : Number(next.port);
      path = `${next.pathname}${next.search}`;
      continue;
    }
    if (statusCode >= 200 && statusCode < 400) return { result: 'success', output: body };
    return { result: 'failure', output: `HTTP probe failed with statuscode: ${statusCode}` };
  }
  return { result: 'failure', output: `Get "${url}": stopped after ${mostRedirects} redirects` };
}

interface Answer {
  readonly statusCode: number;
  readonly location: string | undefined;
  readonly body: string;
}

function get(check: HttpCheck): Promise<Answer> {
  const { scheme, host, port, path, headers, timeoutMs } = check;
  const send = scheme === 'https' ? httpsRequest : nodeHttp.request;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const request = send(
      {
        host,
        port,
        path,
        headers,
        agent: false,
        signal,
        maxHeaderSize: 32 << 10,
        ...(scheme === 'https' ? { rejectUnauthorized: false } : {}),
      },
      (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        let length = 0;
        const finish = (): void => {
          const { statusCode = 0 } = response;
          resolve({
            statusCode,
            location: response.headers.location,
            body: Buffer.concat(chunks).toString('utf8').slice(0, longestBody),
          });
          request.destroy();
        };
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length >= longestBody) finish();
        });
        response.on('end', finish);
        response.on('error', finish);
      },
    );
    request.on('error', (error) => {
      const limit = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)';
      reject(signal.aborted ? new Error(limit) : connectionError(error, host, port));
    });
    request.end();
  });
}

/** Passes when the port accepts a connection. */
export function checkTcp(host: string, port: number, timeoutMs: number): Promise<CheckResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (result: CheckResult): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(timeoutMs, () =>
      end({ result: 'failure', output: `dial tcp ${bracketed(host)}:${port}: i/o timeout` }),
    );
    socket.on('connect', () => end({ result: 'success', output: '' }));
    socket.on('error', (error) => end({ result: 'failure', output: connectionError(error, host, port).message }));
  });
}

function connectionError(error: Error, host: string, port: number): Error {
  const { code } = error as NodeJS.ErrnoException;
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
  };
  if (code !== undefined && Object.hasOwn(words, code))
    return new Error(`dial tcp ${bracketed(host)}:${port}: ${words[code]}`);
  return code === 'ECONNRESET' ? new Error('read: connection reset by peer') : error;
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
