import { open, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { makeDirectory } from '#base';
import type { Random } from '#base';
import { encodeYaml } from '#codec';
import {
  emptyKubeconfig,
  type Kubeconfig,
  KubeconfigError,
  type KubeconfigTarget,
  parseKubeconfig,
} from './kubeconfig.ts';

/** Reads a kubeconfig file; one that does not exist is empty when `missingIsEmpty`. Throws KubeconfigError naming the file. */
export async function readKubeconfig(
  file: string,
  options: { readonly missingIsEmpty?: boolean } = {},
): Promise<Kubeconfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (options.missingIsEmpty && (error as NodeJS.ErrnoException).code === 'ENOENT') return emptyKubeconfig();
    throw new KubeconfigError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    return parseKubeconfig(text);
  } catch (error) {
    throw new KubeconfigError(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Writes a kubeconfig so that a reader sees the old file or the new one, never half of it: mode 0600, owner kept. Through a
 * symbolic link the link's target is replaced.
 */
export async function writeKubeconfig(file: string, config: Kubeconfig, random: Random): Promise<void> {
  const target = await linkTarget(file);
  await makeDirectory(dirname(target), 0o700);
  const before = await stat(target).catch(() => undefined);
  const temporary = `${target}.${random.suffix(10)}`;
  const text = encodeYaml(config);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.chmod(0o600);
      if (before !== undefined) await handle.chown(before.uid, before.gid).catch(() => {});
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function linkTarget(file: string): Promise<string> {
  let path = file;
  for (let hops = 0; hops < 16; hops++) {
    const link = await readlink(path).catch(() => undefined);
    if (link === undefined) return path;
    path = isAbsolute(link) ? link : resolve(dirname(path), link);
  }
  throw new KubeconfigError(`${file} is a chain of more than 16 symbolic links`);
}

/** A target's certificates, key and token, read from the files it names (relative to `directory`) or decoded from its data. */
export async function kubeconfigCredentials(
  target: Pick<KubeconfigTarget, 'cluster' | 'user'>,
  directory: string,
): Promise<{ readonly ca?: string; readonly cert?: string; readonly key?: string; readonly token?: string }> {
  const { cluster, user } = target;
  const text = async (data: string | undefined, file: string | undefined): Promise<string | undefined> => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    return file === undefined ? undefined : readFile(resolve(directory, file), 'utf8');
  };
  const ca = await text(cluster['certificate-authority-data'], cluster['certificate-authority']);
  const cert = await text(user['client-certificate-data'], user['client-certificate']);
  const key = await text(user['client-key-data'], user['client-key']);
  const token = user.token ?? (await text(undefined, user.tokenFile))?.trim();
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { token }),
  };
}
