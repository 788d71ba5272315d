import { MalformedError } from './errors.ts';

/** `-----BEGIN label-----` … with 64 characters a line. */
export function encodePem(label: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  let text = `-----BEGIN ${label}-----\n`;
  for (let at = 0; at < base64.length; at += 64) text += `${base64.slice(at, at + 64)}\n`;
  return `${text}-----END ${label}-----\n`;
}

export interface PemBlock {
  readonly label: string;
  readonly bytes: Uint8Array;
}

/** Every block of a PEM text in order; what stands between blocks is skipped. Linear in the text's length. */
export function decodePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let label: string | undefined;
  let body: string[] = [];
  for (const rawLine of text.split('\n')) {
    const line = rawLine.trim();
    if (label === undefined) {
      if (line.startsWith('-----BEGIN ') && line.endsWith('-----')) {
        label = line.slice(11, -5);
        body = [];
      }
    } else if (line === `-----END ${label}-----`) {
      blocks.push({ label, bytes: decodeBase64(body.join('')) });
      label = undefined;
    } else if (!line.includes(':')) {
      body.push(line);
    }
  }
  if (label !== undefined) throw new MalformedError(`PEM block ${label} without an end`);
  return blocks;
}

function decodeBase64(text: string): Uint8Array {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new MalformedError('PEM block that is not base64');
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** DER of the certificates of a PEM bundle, in order. */
export function certificatesFromPem(text: string): Uint8Array[] {
  return decodePem(text)
    .filter((block) => block.label === 'CERTIFICATE')
    .map((block) => block.bytes);
}
