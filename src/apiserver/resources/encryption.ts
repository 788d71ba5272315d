import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CodedError, type Random } from '#base';
import type { Seal } from './object-storage.ts';

export interface EncryptionKey {
  readonly name: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

const scheme = 'k8ts:enc:aesgcm:v1:';
const nonceBytes = 12;
const tagBytes = 16;

/** A sealed value that no key opens: it was made with a key that is gone, or moved here from another object. */
export class CannotDecrypt extends CodedError {
  constructor(key: string) {
    super('CannotDecrypt', `the stored value of ${key} cannot be decrypted with any of the configured keys`);
  }
}

/**
 * Encryption at rest, AES-256-GCM. The first key seals, all open; values that were stored in the clear are read as they are, so that
 * encryption can begin on a store in use. A value is bound to its key in the store.
 */
export function aesGcmSeal(options: { readonly keys: readonly EncryptionKey[]; readonly random: Random }): Seal {
  const { keys, random } = options;
  const [first] = keys;
  if (first === undefined) throw new TypeError('encryption needs a key');
  const prefixOf = ({ name }: EncryptionKey): Buffer => Buffer.from(`${scheme}${name}:`);
  const mark = Buffer.from(scheme);
  const sealing = prefixOf(first);
  const opening = keys.map((one) => ({ prefix: prefixOf(one), key: one.key }));
  return {
    seal(value, key) {
      const nonce = random.bytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', first.key, nonce);
      cipher.setAAD(Buffer.from(key));
      const body = cipher.update(value);
      cipher.final();
      return Buffer.concat([sealing, nonce, cipher.getAuthTag(), body]);
    },
    unseal(value, key) {
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      if (!bytes.subarray(0, mark.length).equals(mark)) return value;
      for (const { prefix, key: secret } of opening) {
        if (!bytes.subarray(0, prefix.length).equals(prefix)) continue;
        const nonceAt = prefix.length;
        const tagAt = nonceAt + nonceBytes;
        const bodyAt = tagAt + tagBytes;
        try {
          const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(nonceAt, tagAt));
          decipher.setAAD(Buffer.from(key));
          decipher.setAuthTag(bytes.subarray(tagAt, bodyAt));
          return Buffer.concat([decipher.update(bytes.subarray(bodyAt)), decipher.final()]);
        } catch {
          throw new CannotDecrypt(key);
        }
      }
      throw new CannotDecrypt(key);
    },
  };
}
