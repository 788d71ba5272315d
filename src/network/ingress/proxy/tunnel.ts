import type { Socket } from 'node:net';
import type { Ticker, Watched } from './ticker.ts';

interface End {
  readonly socket: Socket;
  /** Read already. */
  readonly first: Buffer | undefined;
}

const idleMs = 3_600_000;
const stalledMs = 60_000;
const highWaterBytes = 64 * 1024;

/** Carries bytes both ways, each no faster than the other side takes them, until either side closes. */
export function startTunnel(options: {
  readonly client: End;
  readonly backend: End;
  readonly ticker: Ticker;
  readonly onClose: () => void;
}): void {
  const { client, backend, ticker, onClose } = options;
  let activeMs = ticker.nowMs;
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    ticker.delete(watched);
    client.socket.destroySoon();
    backend.socket.destroySoon();
    onClose();
  };
  const watched: Watched = {
    tick(nowMs) {
      const isStalled =
        client.socket.writableLength >= highWaterBytes || backend.socket.writableLength >= highWaterBytes;
      if (nowMs - activeMs <= (isStalled ? stalledMs : idleMs)) return;
      client.socket.destroy();
      backend.socket.destroy();
      close();
    },
  };
  const carry = (from: End, to: End): void => {
    from.socket.on('data', (bytes: Buffer) => {
      activeMs = ticker.nowMs;
      if (!to.socket.write(bytes)) from.socket.pause();
    });
    to.socket.on('drain', () => {
      activeMs = ticker.nowMs;
      from.socket.resume();
    });
    from.socket.on('end', () => to.socket.end());
    from.socket.on('error', close);
    from.socket.on('close', close);
    if (from.first !== undefined) to.socket.write(from.first);
  };
  ticker.add(watched);
  carry(client, backend);
  carry(backend, client);
  client.socket.resume();
  backend.socket.resume();
  if (client.socket.destroyed || backend.socket.destroyed) close();
}
