import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, type Random, makeDirectorySync } from '#base';

const keyBytes = 32;

/** The key with which Secrets are encrypted at rest: read from the PKI's folder, or made there (mode 0600) at the first start. */
export function openEncryptionKey(pkiDir: string, random: Random): Uint8Array {
  const file = join(pkiDir, 'encryption.key');
  try {
    const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'base64');
    if (key.length !== keyBytes) {
      throw new CodedError(
        'EncryptionKey',
        `${file} does not hold a key of ${keyBytes} bytes in base64: put back the one that the Secrets were stored with`,
      );
    }
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const key = random.bytes(keyBytes);
  makeDirectorySync(pkiDir, 0o700);
  writeFileSync(file, `${Buffer.from(key).toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true });
  return key;
}
