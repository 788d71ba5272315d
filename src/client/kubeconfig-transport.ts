import { dirname } from 'node:path';
import { openHttpsTransport, type Transport } from '#wire';
import { kubeconfigTarget } from './kubeconfig.ts';
import { kubeconfigCredentials, readKubeconfig } from './kubeconfig-file.ts';

/** A connection to the server of a kubeconfig's context (default: the current one). Throws KubeconfigError. */
export async function openKubeconfigTransport(options: {
  readonly file: string;
  readonly context?: string;
}): Promise<Transport> {
  const { file, context } = options;
  const { cluster, user } = kubeconfigTarget(await readKubeconfig(file), context);
  const { ca, cert, key, token } = await kubeconfigCredentials({ cluster, user }, dirname(file));
  const serverName = cluster['tls-server-name'];
  return openHttpsTransport({
    server: cluster.server,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { clientCert: cert }),
    ...(key === undefined ? {} : { clientKey: key }),
    ...(token === undefined ? {} : { token }),
    ...(serverName === undefined ? {} : { serverName }),
    ...(cluster['insecure-skip-tls-verify'] ? { insecureSkipTlsVerify: true } : {}),
  });
}
