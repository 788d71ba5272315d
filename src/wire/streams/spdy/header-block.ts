import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';
import { headerDictionary } from './dictionary.ts';

const largestBlock = 64 << 10;

/**
 * Header blocks of one direction of a SPDY/3.1 connection share one zlib stream, so they are coded strictly one after another.
 * Names are lower case on the wire; several values of one name are separated by NUL.
 */
export class HeaderEncoder {
  readonly #deflate: Deflate = createDeflate({ dictionary: headerDictionary, flush: constants.Z_SYNC_FLUSH });

  encode(headers: Readonly<Record<string, string>>): Promise<Buffer> {
    const entries = Object.entries(headers);
    const parts: Buffer[] = [uint32(entries.length)];
    for (const [name, value] of entries) {
      const [nameBytes, valueBytes] = [Buffer.from(name.toLowerCase()), Buffer.from(value)];
      parts.push(uint32(nameBytes.length), nameBytes, uint32(valueBytes.length), valueBytes);
    }
    return collect(this.#deflate, Buffer.concat(parts));
  }

  close(): void {
    this.#deflate.close();
  }
}

export class HeaderDecoder {
  readonly #inflate: Inflate = createInflate({ dictionary: headerDictionary, flush: constants.Z_SYNC_FLUSH });

  /** Rejects on a malformed block, or one that unpacks to more than 64 KiB. */
  async decode(block: Uint8Array): Promise<Map<string, string>> {
    const bytes = await collect(this.#inflate, block);
    const headers = new Map<string, string>();
    let at = 0;
    const number = (): number => {
      if (at + 4 > bytes.length) throw new RangeError('SPDY header block is cut short');
      at += 4;
      return bytes.readUInt32BE(at - 4);
    };
    const text = (): string => {
      const length = number();
      if (at + length > bytes.length) throw new RangeError('SPDY header block is cut short');
      at += length;
      return bytes.toString('utf8', at - length, at);
    };
    for (let left = number(); left > 0; left--) {
      const name = text();
      headers.set(name, text());
    }
    return headers;
  }

  close(): void {
    this.#inflate.close();
  }
}

function collect(stream: Deflate | Inflate, input: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const finish = (error?: Error | null): void => {
      stream.off('data', onData);
      stream.off('error', finish);
      if (error) reject(error);
      else resolve(Buffer.concat(parts));
    };
    const onData = (chunk: Buffer): void => {
      parts.push(chunk);
      length += chunk.length;
      if (length > largestBlock) finish(new RangeError('SPDY header block is too large'));
    };
    stream.on('data', onData);
    stream.on('error', finish);
    stream.write(input, (error) => {
      if (error) return finish(error);
      stream.flush(constants.Z_SYNC_FLUSH, () => finish());
    });
  });
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
