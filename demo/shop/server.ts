import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { hostname } from 'node:os';

export interface Answer {
  readonly status?: number;
  readonly type?: string;
  readonly body: string | object;
}

export type Route = (request: IncomingMessage, body: string) => Answer | Promise<Answer>;

const longestBody = 64 * 1024;

/**
 * Serves `routes` (`GET /path`) on `port` until SIGTERM, then finishes what it has begun. Every answer names the pod that gave it in
 * the field `x-served-by`.
 */
export function serve(port: number, routes: Readonly<Record<string, Route>>): void {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '/').split('?')[0];
    const key = `${request.method} ${path}`;
    const route = Object.hasOwn(routes, key) ? routes[key] : undefined;
    const {
      status = 200,
      type,
      body,
    } = route === undefined ? { status: 404, body: { error: `no ${key}` } } : await route(request, await read(request));
    const isText = typeof body === 'string';
    response.writeHead(status, {
      'content-type': type ?? (isText ? 'text/plain; charset=utf-8' : 'application/json'),
      'cache-control': 'no-store',
      'x-served-by': hostname(),
    });
    response.end(isText ? body : JSON.stringify(body));
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: Error) => {
      console.error(`${request.method} ${request.url}: ${error.message}`);
      if (!response.headersSent) response.writeHead(502, { 'x-served-by': hostname() });
      response.end(JSON.stringify({ error: error.message }));
    });
  });
  server.listen(port, () => console.log(`${hostname()} listens on ${port}`));
  process.on('SIGTERM', () => server.close(() => process.exit(0)));
}

async function read(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of request) {
    text += piece;
    if (text.length > longestBody) throw new Error(`a body above ${longestBody} characters`);
  }
  return text;
}
