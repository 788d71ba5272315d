import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Closable, CodedError } from '#base';
import { type Authority, type Credential, parsePrivateKey, parsePublicKey } from '#pki';
import type { RenewedPki } from '../certificate-renewal.ts';
import { type ServerOptions, startServer } from '../server.ts';
import type { ServerConfiguration } from '../server-configuration.ts';
import type { ApiServerFiles, ApiServerFlags } from './component-flags.ts';

/** Runs an API server alone. */
export function startApiServerAlone(
  options: Pick<ServerOptions, 'clock' | 'random' | 'log'> & {
    readonly flags: ApiServerFlags;
    readonly version: string;
  },
): Promise<Closable> {
  const { flags, version, ...rest } = options;
  const configuration: ServerConfiguration = {
    clusterName: 'kubernetes',
    pkiDir: flags.certDir,
    store: flags.store,
    ...(flags.etcdTls === undefined ? {} : { etcdTls: flags.etcdTls }),
    listen: [flags.bindAddress],
    port: flags.port,
    advertiseAddress: flags.advertiseAddress,
    podCidr: '',
    serviceCidr: flags.serviceCidr,
    clusterDomain: flags.clusterDomain,
    clusterDns: '',
    simulate: 0,
    adminKubeconfig: '',
    joinable: true,
    ...(flags.issuer === undefined ? {} : { issuer: flags.issuer }),
    ...(flags.audit === undefined ? {} : { audit: flags.audit }),
    ...(flags.seats === undefined ? {} : { seats: flags.seats }),
    ...(flags.openId === undefined ? {} : { openId: flags.openId }),
    ...(flags.slowRequestMs === undefined ? {} : { slowRequestMs: flags.slowRequestMs }),
    version,
  };
  const given = Object.keys(flags.files).length > 0;
  return startServer({
    ...rest,
    configuration,
    only: 'apiserver',
    ...(given ? { pki: pkiOfFiles(flags.files, flags.certDir) } : {}),
  });
}

/** kubeadm's name of each file below its folder. */
const placesOf: Readonly<Record<keyof ApiServerFiles, string>> = {
  clientCaFile: 'ca.crt',
  tlsCertFile: 'apiserver.crt',
  tlsPrivateKeyFile: 'apiserver.key',
  kubeletClientCertificate: 'apiserver-kubelet-client.crt',
  kubeletClientKey: 'apiserver-kubelet-client.key',
  proxyClientCertFile: 'front-proxy-client.crt',
  proxyClientKeyFile: 'front-proxy-client.key',
  requestheaderClientCaFile: 'front-proxy-ca.crt',
  serviceAccountKeyFile: 'sa.pub',
  serviceAccountSigningKeyFile: 'sa.key',
};

/** What an API server needs of a PKI, from single files: nothing is made or signed. Throws CodedError `FileMissing`. */
function pkiOfFiles(files: ApiServerFiles, certDir: string): RenewedPki {
  const read = (name: keyof ApiServerFiles): string => {
    const file = files[name] ?? join(certDir, placesOf[name]);
    if (existsSync(file)) return readFileSync(file, 'utf8');
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    throw new CodedError('FileMissing', `${file} is not there: name the file with ${flag}`);
  };
  const authority = (name: keyof ApiServerFiles): Authority => ({ certificatePem: read(name) }) as Authority;
  const credentials: Readonly<Record<string, () => Credential>> = {
    apiserver: () => ({ certificatePem: read('tlsCertFile'), keyPem: read('tlsPrivateKeyFile') }),
    'apiserver-kubelet-client': () => ({
      certificatePem: read('kubeletClientCertificate'),
      keyPem: read('kubeletClientKey'),
    }),
    'front-proxy-client': () => ({ certificatePem: read('proxyClientCertFile'), keyPem: read('proxyClientKeyFile') }),
  };
  const pair = parsePrivateKey(read('serviceAccountSigningKeyFile'));
  return {
    ca: authority('clientCaFile'),
    frontProxyCa: authority('requestheaderClientCaFile'),
    serviceAccountKey: pair.privateKey,
    serviceAccountPublicKeys: [pair.publicKey, parsePublicKey(read('serviceAccountKeyFile'))],
    credential(name) {
      const found = credentials[name];
      if (found === undefined) throw new CodedError('FileMissing', `an API server alone has no certificate ${name}`);
      return found();
    },
    issue() {
      throw new CodedError('NoAuthority', 'an API server alone signs nothing');
    },
    renew: () => [],
    expiry: () => [],
    onChange: () => {},
    close: async () => {},
  };
}
