import { ManualClock, seededRandom } from '#base';
import { openMemoryStore } from '#store';
import type { Identity, Transport } from '#wire';
import { type ApiServer, type ApiServerOptions, openApiServer } from './server.ts';

/** For this room's tests: a server on memory with a clock that stands still, and short ways to ask it. */
export interface TestServer extends AsyncDisposable {
  readonly server: ApiServer;
  readonly clock: ManualClock;
  readonly transport: Transport;
  ask(method: string, target: string, body?: object | string, headers?: Record<string, string>): Promise<Answer>;
  /** The events of a watch, collected until `count` came. */
  watch(target: string, count: number): Promise<{ type: string; object: Json }[]>;
}

// biome-ignore lint: test data of any kind
export type Json = any;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Json;
}

const admin: Identity = { user: 'admin', groups: ['system:masters', 'system:authenticated'] };

export async function testServer(options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const clock = (options.clock as ManualClock | undefined) ?? new ManualClock();
  const store = options.store ?? (await openMemoryStore({ clock }));
  const server = await openApiServer({ random: seededRandom(1), ...options, store, clock });
  await server.ready;
  const transport = server.transport(admin);
  return {
    server,
    clock,
    transport,
    async ask(method, target, body, headers = {}) {
      const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
      const response = await transport.request({
        method: method as 'GET',
        target,
        headers: { 'user-agent': 'test/1', ...headers },
        ...(text === undefined ? {} : { body: Buffer.from(text) }),
      });
      const bytes = Buffer.from(await response.bytes());
      const type = response.headers['content-type'] ?? '';
      return {
        status: response.status,
        headers: response.headers,
        body: type.startsWith('application/json') && bytes.length > 0 ? JSON.parse(bytes.toString()) : bytes.toString(),
      };
    },
    async watch(target, count) {
      const stop = new AbortController();
      const response = await transport.request({ method: 'GET', target, signal: stop.signal });
      const events: { type: string; object: Json }[] = [];
      let text = '';
      for await (const chunk of response.chunks()) {
        text += Buffer.from(chunk).toString();
        const lines = text.split('\n');
        text = lines.pop() as string;
        events.push(...lines.map((line) => JSON.parse(line)));
        if (events.length >= count) break;
      }
      stop.abort();
      return events;
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      await store.close();
    },
  };
}
