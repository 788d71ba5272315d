/** Channels of the remote command protocols over WebSocket, by number: the first byte (or base64 digit) of each message. */
export const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** A sub-protocol of exec, attach and (numbered pairs of channels) port-forward over WebSocket. */
export interface ChannelProtocol {
  readonly name: string;
  /** 1: errors as plain text; 4: as a Status; 5: also tells when the client closes a channel. */
  readonly version: 1 | 4 | 5;
  /** Messages are text: a digit, then base64. */
  readonly base64: boolean;
}

/** Best first. The nameless protocol is what a client speaks that asks for none. */
const protocols: readonly ChannelProtocol[] = [
  { name: 'v5.channel.k8s.io', version: 5, base64: false },
  { name: 'v4.channel.k8s.io', version: 4, base64: false },
  { name: 'v4.base64.channel.k8s.io', version: 4, base64: true },
  { name: 'channel.k8s.io', version: 1, base64: false },
  { name: 'base64.channel.k8s.io', version: 1, base64: true },
  { name: '', version: 1, base64: false },
];

/** The protocol to speak with a client that offers these, or undefined when there is none in common. */
export function negotiateChannels(offered: readonly string[]): ChannelProtocol | undefined {
  if (offered.length === 0) return protocols.at(-1);
  for (const name of offered) {
    const found = protocols.find((one) => one.name === name);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function encodeMessage(protocol: ChannelProtocol, number: number, data: Uint8Array): Buffer | string {
  if (protocol.base64) return String.fromCharCode(0x30 + number) + Buffer.from(data).toString('base64');
  return Buffer.concat([Buffer.of(number), data]);
}

/** Undefined for a message without a channel. */
export function decodeMessage(
  protocol: ChannelProtocol,
  message: Buffer,
): { readonly number: number; readonly data: Buffer } | undefined {
  const first = message[0];
  if (first === undefined) return undefined;
  if (protocol.base64) return { number: first - 0x30, data: Buffer.from(message.toString('latin1', 1), 'base64') };
  return { number: first, data: message.subarray(1) };
}

/** Sub-protocols that a client offers, in its order. */
export function offeredProtocols(header: string | undefined): string[] {
  return (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
