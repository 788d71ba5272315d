import { dirname } from 'node:path';
import { kubeconfigCredentials, kubeconfigTarget, readKubeconfig } from '#client';
import { openHttpsTransport, type Transport } from '#wire';

/** A connection to the server of a kubeconfig's current context. */
export async function openKubeconfigTransport(file: string): Promise<Transport> {
  const target = kubeconfigTarget(await readKubeconfig(file));
  const { ca, cert, key, token } = await kubeconfigCredentials(target, dirname(file));
  return openHttpsTransport({
    server: target.cluster.server,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { clientCert: cert }),
    ...(key === undefined ? {} : { clientKey: key }),
    ...(token === undefined ? {} : { token }),
  });
}
