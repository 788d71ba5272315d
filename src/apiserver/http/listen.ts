import type { Clock, Log } from '#base';
import type { Handler } from '../contract.ts';

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa?: string };
}

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

export async function listenHttps(
  _options: ListenOptions & { handler: Handler; clock: Clock; log: Log },
): Promise<Listening> {
  throw new Error('not yet');
}
