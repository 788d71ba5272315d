import { resolve } from 'node:path';
import { CodedError } from '#base';
import { defineCommand } from '../command.ts';
import { ownAddress, type StoreOptions, storeOf, withStore } from '../components/flags.ts';
import { parseCount, parseDurationMs, parsePort, parseThresholdMs } from '../options.ts';
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
    oidcIssuerUrl?: string;
    oidcClientId?: string;
    oidcUsernameClaim?: string;
    oidcUsernamePrefix?: string;
    oidcGroupsClaim?: string;
    oidcGroupsPrefix?: string;
    oidcRequiredClaim: Record<string, string>;
    oidcCaFile?: string;
    logRequests?: number;
    maxRequestsInflight: number;
    maxMutatingRequestsInflight: number;
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
    .option('--oidc-issuer-url <url>', 'people sign in by ID tokens of this OpenID Connect provider')
    .option('--oidc-client-id <id>', 'that are meant for this client')
    .option('--oidc-username-claim <claim>', 'the claim that names the user (default: sub)')
    .option('--oidc-username-prefix <text>', "put before names; - for nothing (default: the issuer's URL and #)")
    .option('--oidc-groups-claim <claim>', "the claim that names the user's groups")
    .option('--oidc-groups-prefix <text>', 'put before groups')
    .option('--oidc-required-claim <claim=value>', 'tokens without are refused; can be repeated', parseClaim, {})
    .option('--oidc-ca-file <file>', "authority of the provider's certificate (default: those that Node knows)")
    .option(
      '--audit-policy-file <file>',
      'record requests as this audit.k8s.io/v1 Policy says (default: their metadata)',
    )
    .option('--audit-log-path <file>', 'record requests in this file')
    .option('--audit-log-maxsize <mib>', 'put the file aside at this size (default: 100)', parseCount)
    .option('--audit-log-maxbackup <n>', 'keep so many of those (default: 10)', parseCount)
    .option('--audit-log-maxage <days>', 'and for so long (default: no limit)', parseCount)
    .option('--audit-webhook-config-file <file>', 'post recorded requests to the server of this kubeconfig')
    .option('--audit-webhook-batch-max-size <n>', 'so many at a time (default: 400)', parseCount)
    .option('--audit-webhook-batch-max-wait <duration>', 'or after this time (default: 30s)', parseDurationMs)
    .option('--audit-webhook-batch-buffer-size <n>', 'so many may wait (default: 10000)', parseCount)
    .option('--audit-webhook-initial-backoff <duration>', 'before the second try (default: 10s)', parseDurationMs)
    .option('--audit-truncate-max-event-size <bytes>', 'larger records lose their objects (default: none)', parseCount)
    .option('--max-requests-inflight <n>', 'requests worked on at once', parseCount, 400)
    .option('--max-mutating-requests-inflight <n>', 'and so many more: priority levels divide both', parseCount, 200)
    .option('--log-requests <all|duration>', 'log requests that take so long, or all (default: 1s)', parseThresholdMs);
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
        ...openIdOf(options),
        ...auditOf(options),
        ...seatsOf(options),
        ...(options.logRequests === undefined ? {} : { slowRequestMs: options.logRequests }),
      },
    });
  });
});

/** `hd=example.com`, added to those before. */
function parseClaim(text: string, before: Record<string, string>): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new CodedError('WrongUsage', `--oidc-required-claim "${text}" is not CLAIM=VALUE`);
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

function openIdOf(options: Flags) {
  const { oidcIssuerUrl: issuerUrl, oidcClientId: clientId = '', oidcRequiredClaim: requiredClaims } = options;
  const more = {
    usernameClaim: options.oidcUsernameClaim,
    usernamePrefix: options.oidcUsernamePrefix,
    groupsClaim: options.oidcGroupsClaim,
    groupsPrefix: options.oidcGroupsPrefix,
    caFile: options.oidcCaFile,
  };
  const given = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined));
  if (issuerUrl !== undefined) return { openId: { issuerUrl, clientId, requiredClaims, ...given } };
  if (clientId === '' && Object.keys(given).length === 0) return {};
  throw new CodedError('WrongUsage', 'the --oidc- flags go with --oidc-issuer-url');
}

function seatsOf({ maxRequestsInflight, maxMutatingRequestsInflight }: Flags): { readonly seats: number } {
  const seats = maxRequestsInflight + maxMutatingRequestsInflight;
  if (seats > 0) return { seats };
  throw new CodedError(
    'WrongUsage',
    '--max-requests-inflight and --max-mutating-requests-inflight: together at least 1, priority levels need seats',
  );
}

interface AuditFlags {
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxsize?: number;
  readonly auditLogMaxbackup?: number;
  readonly auditLogMaxage?: number;
  readonly auditWebhookConfigFile?: string;
  readonly auditWebhookBatchMaxSize?: number;
  readonly auditWebhookBatchMaxWait?: number;
  readonly auditWebhookBatchBufferSize?: number;
  readonly auditWebhookInitialBackoff?: number;
  readonly auditTruncateMaxEventSize?: number;
}

function auditOf(options: AuditFlags) {
  const { auditPolicyFile, auditLogPath, auditLogMaxsize, auditLogMaxbackup, auditLogMaxage } = options;
  const webhook = webhookOf(options);
  if (auditLogPath === undefined && webhook === undefined) {
    if (auditPolicyFile === undefined) return {};
    throw new CodedError('WrongUsage', '--audit-policy-file goes with --audit-log-path or --audit-webhook-config-file');
  }
  if (auditLogMaxsize === 0) throw new CodedError('WrongUsage', '--audit-log-maxsize: at least 1 MiB');
  return {
    audit: {
      ...(auditLogPath === undefined ? {} : { logPath: resolve(auditLogPath) }),
      ...(webhook === undefined ? {} : { webhook }),
      ...(options.auditTruncateMaxEventSize === undefined ? {} : { maxEventBytes: options.auditTruncateMaxEventSize }),
      ...(auditPolicyFile === undefined ? {} : { policyFile: resolve(auditPolicyFile) }),
      ...(auditLogMaxsize === undefined ? {} : { maxSizeMib: auditLogMaxsize }),
      ...(auditLogMaxbackup === undefined ? {} : { maxBackups: auditLogMaxbackup }),
      ...(auditLogMaxage === undefined ? {} : { maxAgeDays: auditLogMaxage }),
    },
  };
}

function webhookOf(options: AuditFlags): AuditWebhookFlags | undefined {
  const {
    auditWebhookConfigFile: configFile,
    auditWebhookBatchMaxSize: batchSize,
    auditWebhookBatchMaxWait: batchWaitMs,
    auditWebhookBatchBufferSize: bufferSize,
    auditWebhookInitialBackoff: firstRetryMs,
  } = options;
  if (configFile === undefined) return undefined;
  if (batchSize === 0 || bufferSize === 0)
    throw new CodedError('WrongUsage', '--audit-webhook-batch-…: at least one event');
  return {
    configFile: resolve(configFile),
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(batchWaitMs === undefined ? {} : { batchWaitMs }),
    ...(bufferSize === undefined ? {} : { bufferSize }),
    ...(firstRetryMs === undefined ? {} : { firstRetryMs }),
  };
}

interface AuditWebhookFlags {
  readonly configFile: string;
  readonly batchSize?: number;
  readonly batchWaitMs?: number;
  readonly bufferSize?: number;
  readonly firstRetryMs?: number;
}
