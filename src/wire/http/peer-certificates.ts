import type { TLSSocket } from 'node:tls';

const known = new WeakMap<TLSSocket, readonly Uint8Array[] | undefined>();
const longestChain = 8;

/** The chain that the peer has shown, DER, leaf first; read once a connection. */
export function certificatesOf(socket: TLSSocket): readonly Uint8Array[] | undefined {
  if (known.has(socket)) return known.get(socket);
  const chain: Uint8Array[] = [];
  let next = socket.getPeerX509Certificate?.();
  while (next !== undefined && chain.length < longestChain) {
    const { raw } = next;
    if (chain.some((one) => raw.equals(one))) break;
    chain.push(raw);
    next = next.issuerCertificate;
  }
  const result = chain.length === 0 ? undefined : chain;
  known.set(socket, result);
  return result;
}
