import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CodedError, runCommand } from '#base';
import { buildImages, type TarEntry } from '#kubelet';

export const shopImage = 'k8ts.io/shop:1';

/**
 * The image of the demonstration's services as an OCI archive: the Node.js that runs this process with the libraries it is linked with,
 * and the services' source in /app. No registry is asked.
 */
export async function buildShopImage(sourceDir: string): Promise<Uint8Array> {
  const node = process.execPath;
  const { stdout } = await runCommand('ldd', [node]);
  const libraries = [...stdout.matchAll(/(\/\S+)(?= \(0x)/g)].map((match) => match[1] as string);
  const loader = libraries.find((path) => basename(path).startsWith('ld-linux'));
  if (loader === undefined)
    throw new CodedError(
      'NoImage',
      `the demonstration needs a Node.js of this machine's libc; ${node} names no loader`,
    );
  const links = libraries.filter((path) => path !== loader);
  const sources = (await readdir(sourceDir)).sort();
  const library = async (path: string): Promise<TarEntry> => ({
    path: `usr/lib/${basename(path)}`,
    content: await readFile(path),
    mode: 0o755,
  });
  const folders = ['app', 'data', 'etc', 'usr', 'usr/bin', 'usr/lib', ...parents(loader.slice(1))];
  const files: TarEntry[] = [
    ...[...new Set(folders)].map((path) => ({ path, type: 'directory' as const })),
    { path: 'tmp', type: 'directory', mode: 0o1777 },
    { path: 'etc/nsswitch.conf', content: Buffer.from('hosts: files dns\n') },
    { path: 'etc/passwd', content: Buffer.from('root:x:0:0:root:/:/sbin/nologin\n') },
    { path: 'usr/bin/node', content: await readFile(node), mode: 0o755 },
    { path: loader.slice(1), content: await readFile(loader), mode: 0o755 },
    ...(await Promise.all(links.map(library))),
    ...(await Promise.all(
      sources.map(async (name) => ({ path: `app/${name}`, content: await readFile(join(sourceDir, name)) })),
    )),
    { path: 'app/package.json', content: Buffer.from('{"type":"module"}\n') },
  ];
  return buildImages([
    {
      name: shopImage,
      files,
      config: {
        env: ['PATH=/usr/bin', 'LD_LIBRARY_PATH=/usr/lib', 'NODE_OPTIONS=--max-semi-space-size=1'],
        workingDir: '/app',
        cmd: ['node', '/app/web.ts'],
      },
    },
  ]);
}

/** Where the demonstration's sources and manifest lie: beside `src` in a clone, beside `dist` in the package. */
export function demoFolder(): string {
  const folder = new URL('../../../demo', import.meta.url).pathname;
  if (!existsSync(join(folder, 'shop.yaml')))
    throw new CodedError('NoDemo', `${folder} is missing: take a whole clone or package of k8ts`);
  return folder;
}

/** lib64/ld-linux-x86-64.so.2 → lib64 */
function parents(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}
