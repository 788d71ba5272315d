import type { Handler, ServerRequest } from '../contract.ts';
import { parseRequestInfo } from '../http/request-info.ts';
import { serverIdentity } from '../server-identity.ts';

/** A request of the server itself to a backend. */
export function ownRequest(target: string, signal: AbortSignal, receivedMs: number): ServerRequest {
  return {
    method: 'GET',
    target,
    headers: { accept: 'application/json' },
    source: { remoteAddress: '', trusted: serverIdentity },
    receivedMs,
    body: async () => new Uint8Array(),
    async *stream() {},
    objects: false,
    onAbort(callback) {
      signal.addEventListener('abort', callback, { once: true });
      return () => signal.removeEventListener('abort', callback);
    },
    get aborted() {
      return signal.aborted;
    },
    info: parseRequestInfo('GET', target),
    identity: serverIdentity,
    warnings: [],
    annotations: new Map(),
  };
}

/** The whole body of an answer as text. Throws when it is longer than `largestBytes`, or breaks off. */
export function textOf(response: Awaited<ReturnType<Handler>>, largestBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    response.stream?.({
      write(bytes) {
        length += bytes.length;
        if (length > largestBytes) reject(new Error(`the answer is longer than ${largestBytes} bytes`));
        else parts.push(Buffer.from(bytes));
        return true;
      },
      onDrain() {},
      pendingBytes: 0,
      end: () => resolve(Buffer.concat(parts).toString()),
      destroy: () => reject(new Error('the answer broke off')),
      onClose() {},
    });
  });
}
