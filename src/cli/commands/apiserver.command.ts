import { resolve } from 'node:path';
import { CodedError } from '#base';
import { defineCommand } from '../command.ts';
import { ownAddress, type StoreOptions, storeOf, withStore } from '../components/flags.ts';
import { parseCount, parsePort } from '../options.ts';
import { version } from '../version.ts';

type Flags = StoreOptions &
  FileFlags &
  AuditFlags & {
    certDir: string;
    advertiseAddress?: string;
    bindAddress: string;
    securePort: number;
    serviceClusterIpRange: string;
    serviceAccountIssuer?: string;
    clusterDomain: string;
  };

const files = [
  ['clientCaFile', '--client-ca-file', "authority of clients' certificates"],
  ['tlsCertFile', '--tls-cert-file', 'certificate of the API server'],
  ['tlsPrivateKeyFile', '--tls-private-key-file', 'its key'],
  ['kubeletClientCertificate', '--kubelet-client-certificate', 'certificate shown to kubelets'],
  ['kubeletClientKey', '--kubelet-client-key', 'its key'],
  ['proxyClientCertFile', '--proxy-client-cert-file', 'certificate shown to aggregated servers'],
  ['proxyClientKeyFile', '--proxy-client-key-file', 'its key'],
  ['requestheaderClientCaFile', '--requestheader-client-ca-file', 'authority of front proxies'],
  ['serviceAccountKeyFile', '--service-account-key-file', 'public key that checks tokens'],
  ['serviceAccountSigningKeyFile', '--service-account-signing-key-file', 'key that signs tokens'],
] as const;
type FileFlags = { readonly [name in (typeof files)[number][0]]?: string };

export const apiserverCommand = defineCommand('apiserver', (command) => {
  withStore(command)
    .option('--advertise-address <address>', 'address by which nodes and pods reach this server')
    .option('--bind-address <address>', 'address to listen on', '0.0.0.0')
    .option('--secure-port <port>', 'port to listen on', parsePort, 6443)
    .option('--cert-dir <dir>', "certificates and keys in kubeadm's layout; what lacks is made", '/etc/kubernetes/pki')
    .option('--service-cluster-ip-range <range>', 'addresses of Services', '10.96.0.0/12')
    .option('--service-account-issuer <url>', "issuer of service accounts' tokens")
    .option('--cluster-domain <domain>', 'domain of the cluster', 'cluster.local')
    .option(
      '--audit-policy-file <file>',
      'record requests as this audit.k8s.io/v1 Policy says (default: their metadata)',
    )
    .option('--audit-log-path <file>', 'record requests in this file')
    .option('--audit-log-maxsize <mib>', 'put the file aside at this size (default: 100)', parseCount)
    .option('--audit-log-maxbackup <n>', 'keep so many of those (default: 10)', parseCount)
    .option('--audit-log-maxage <days>', 'and for so long (default: no limit)', parseCount);
  for (const [, flag, description] of files)
    command.option(`${flag} <file>`, `${description} (default: in --cert-dir)`);
  command.action(async (options: Flags) => {
    const { runComponent } = await import('#assembly');
    const given = files.filter(([name]) => options[name] !== undefined);
    await runComponent({
      name: 'apiserver',
      version,
      flags: {
        ...storeOf(options),
        certDir: options.certDir,
        files: Object.fromEntries(given.map(([name]) => [name, options[name]])),
        advertiseAddress: options.advertiseAddress ?? ownAddress().address,
        bindAddress: options.bindAddress,
        port: options.securePort,
        serviceCidr: options.serviceClusterIpRange,
        clusterDomain: options.clusterDomain,
        ...(options.serviceAccountIssuer === undefined ? {} : { issuer: options.serviceAccountIssuer }),
        ...auditOf(options),
      },
    });
  });
});

interface AuditFlags {
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxsize?: number;
  readonly auditLogMaxbackup?: number;
  readonly auditLogMaxage?: number;
}

function auditOf(options: AuditFlags) {
  const { auditPolicyFile, auditLogPath, auditLogMaxsize, auditLogMaxbackup, auditLogMaxage } = options;
  if (auditLogPath === undefined) {
    if (auditPolicyFile === undefined) return {};
    throw new CodedError('WrongUsage', '--audit-policy-file goes with --audit-log-path');
  }
  if (auditLogMaxsize === 0) throw new CodedError('WrongUsage', '--audit-log-maxsize: at least 1 MiB');
  return {
    audit: {
      logPath: resolve(auditLogPath),
      ...(auditPolicyFile === undefined ? {} : { policyFile: resolve(auditPolicyFile) }),
      ...(auditLogMaxsize === undefined ? {} : { maxSizeMib: auditLogMaxsize }),
      ...(auditLogMaxbackup === undefined ? {} : { maxBackups: auditLogMaxbackup }),
      ...(auditLogMaxage === undefined ? {} : { maxAgeDays: auditLogMaxage }),
    },
  };
}
