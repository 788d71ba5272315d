import { dirname, resolve } from 'node:path';
import { type FailoverTransport, openFailoverTransport } from '#wire';
import { kubeconfigTarget } from './kubeconfig.ts';
import { kubeconfigCredentials, readKubeconfig } from './kubeconfig-file.ts';

/**
 * A connection to the server of a kubeconfig's context (default: the current one). A client certificate named by its file is read
 * again at each new connection. Throws KubeconfigError.
 *
 * `servers`: others that serve the same, which are asked when that one fails; they can be changed later (`setServers`).
 */
export async function openKubeconfigTransport(options: {
  readonly file: string;
  readonly context?: string;
  readonly servers?: readonly string[];
}): Promise<FailoverTransport> {
  const { file, context, servers = [] } = options;
  const { cluster, user } = kubeconfigTarget(await readKubeconfig(file), context);
  const { ca, cert, key, token } = await kubeconfigCredentials({ cluster, user }, dirname(file));
  const certFile = user['client-certificate-data'] === undefined ? user['client-certificate'] : undefined;
  const keyFile = user['client-key-data'] === undefined ? user['client-key'] : undefined;
  const serverName = cluster['tls-server-name'];
  return openFailoverTransport({
    servers: [cluster.server, ...servers],
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { clientCert: cert }),
    ...(key === undefined ? {} : { clientKey: key }),
    ...(certFile === undefined ? {} : { clientCertFile: resolve(dirname(file), certFile) }),
    ...(keyFile === undefined ? {} : { clientKeyFile: resolve(dirname(file), keyFile) }),
    ...(token === undefined ? {} : { token }),
    ...(serverName === undefined ? {} : { serverName }),
    ...(cluster['insecure-skip-tls-verify'] ? { insecureSkipTlsVerify: true } : {}),
  });
}
