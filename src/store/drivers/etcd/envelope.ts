import { crc32 } from 'node:zlib';

/*
 * A value in etcd: a head of 16 bytes, then the value.
 *
 *    0  0xe1                       1  crc32, big-endian, of everything from 5 on
 *    5  the write's id: 5 bytes of the process that wrote, 6 bytes counted up by it
 *
 * The id tells whose write is there when an answer was lost: two writes of the same bytes have two ids.
 */
const magic = 0xe1;
const idAt = 5;
export const headBytes = 16;
const processBytes = 5;

/** Makes ids that no other write has. `process` is five random bytes. */
export class WriteIds {
  readonly #process: Uint8Array;
  #next = 1;

  constructor(random: Uint8Array) {
    this.#process = random.subarray(0, processBytes);
  }

  next(): Buffer {
    const id = Buffer.alloc(headBytes - idAt);
    id.set(this.#process);
    id.writeUIntBE(this.#next++, processBytes, 6);
    return id;
  }
}

export function sealValue(id: Uint8Array, value: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(headBytes + value.length);
  sealed[0] = magic;
  sealed.set(id, idAt);
  sealed.set(value, headBytes);
  sealed.writeUInt32BE(crc32(sealed.subarray(idAt)), 1);
  return sealed;
}

/** The value in what etcd holds; undefined unless it is what was written here. A view, not a copy. */
export function openValue(sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < headBytes || sealed[0] !== magic) return undefined;
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
  return crc32(bytes.subarray(idAt)) === bytes.readUInt32BE(1) ? bytes.subarray(headBytes) : undefined;
}

export function isWrittenBy(id: Uint8Array, sealed: Uint8Array): boolean {
  return (
    sealed.length >= headBytes && sealed[0] === magic && Buffer.compare(sealed.subarray(idAt, headBytes), id) === 0
  );
}

/** Whether it looks like a value of this store, whole or damaged. */
export function isOurs(sealed: Uint8Array): boolean {
  return sealed.length >= headBytes && sealed[0] === magic;
}
