import { statSync } from 'node:fs';
import { createServer } from 'node:net';
import { type Closable, CodedError } from '#base';

/**
 * Holds a directory for this process until closed or until the process ends, however that comes: a socket in Linux's abstract
 * name space, named by the directory's device and inode. Rejects with StoreInUse when someone else has it.
 */
export async function lockDirectory(dir: string): Promise<Closable> {
  if (process.platform !== 'linux') return { close: async () => {} };
  const { dev, ino } = statSync(dir);
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const code = (error as NodeJS.ErrnoException).code;
      reject(code === 'EADDRINUSE' ? inUse(dir) : error);
    });
    server.listen(`\0k8ts-store-${dev}-${ino}`, resolve);
  });
  server.unref();
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}

function inUse(dir: string): CodedError {
  return new CodedError('StoreInUse', `the store in ${dir} is open in another process: stop that one first`);
}
