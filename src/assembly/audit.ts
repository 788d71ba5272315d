import { readFileSync } from 'node:fs';
import {
  allSinks,
  type ApiServerOptions,
  type AuditPolicy,
  type AuditSink,
  auditLink,
  auditRefusal,
  loadAuditPolicy,
  loadAuditWebhook,
  metadataPolicy,
  openFileSink,
} from '#apiserver';
import { type Clock, type Closable, CodedError, type Log, messageOf, type Random } from '#base';
import { openKubeconfigTransport, readKubeconfig, kubeconfigTarget } from '#client';

/** Where and how requests are recorded. */
export interface AuditConfiguration {
  /** An audit.k8s.io/v1 Policy; absent: who did what to which object, without contents. */
  readonly policyFile?: string;
  readonly logPath?: string;
  /** Events are posted to a webhook as well, or instead. */
  readonly webhook?: AuditWebhookConfiguration;
  /** A file of this size is put aside; default 100. */
  readonly maxSizeMib?: number;
  /** How many of those stay; default 10. */
  readonly maxBackups?: number;
  /** For how long; absent: no limit. */
  readonly maxAgeDays?: number;
  /** Events of more bytes lose their objects; absent: no limit. */
  readonly maxEventBytes?: number;
}

export interface AuditWebhookConfiguration {
  /** A kubeconfig whose server is the webhook. */
  readonly configFile: string;
  /** Default 400 events. */
  readonly batchSize?: number;
  /** Default 30 s. */
  readonly batchWaitMs?: number;
  /** Default 10,000 events. */
  readonly bufferSize?: number;
  /** Default 10 s. */
  readonly firstRetryMs?: number;
}

const dayMs = 86_400_000;

/** Opens the audit log. Throws CodedError `AuditPolicy` or `AuditLog` with what is wrong: a server that cannot record does not start. */
export async function openAudit(options: {
  readonly configuration: AuditConfiguration;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): Promise<Closable & { readonly options: Pick<ApiServerOptions, 'audit' | 'onUnauthenticated'> }> {
  const { configuration, clock, random, log } = options;
  const { policyFile, logPath, webhook } = configuration;
  const policy = policyFile === undefined ? metadataPolicy : await readAuditPolicy(policyFile);
  const own = { clock, log: log.child({ component: 'audit' }) };
  const sinks = [
    ...(logPath === undefined ? [] : [openLogFile(logPath, configuration, own)]),
    ...(webhook === undefined ? [] : [await openWebhook(webhook, configuration, own)]),
  ];
  const [first] = sinks;
  const sink = sinks.length === 1 && first !== undefined ? first : allSinks(sinks);
  const recording = { policy, sink, clock, random };
  return {
    options: { audit: auditLink(recording), onUnauthenticated: auditRefusal(recording) },
    close: () => sink.close(),
  };
}

interface SinkMeans {
  readonly clock: Clock;
  readonly log: Log;
}

function openLogFile(path: string, configuration: AuditConfiguration, means: SinkMeans): AuditSink & Closable {
  const { maxSizeMib, maxBackups, maxAgeDays, maxEventBytes } = configuration;
  try {
    return openFileSink({
      path,
      ...means,
      ...(maxSizeMib === undefined ? {} : { largestBytes: maxSizeMib * 2 ** 20 }),
      ...(maxBackups === undefined ? {} : { kept: maxBackups }),
      ...(maxAgeDays === undefined ? {} : { oldestMs: maxAgeDays * dayMs }),
      ...(maxEventBytes === undefined ? {} : { largestEventBytes: maxEventBytes }),
    });
  } catch (error) {
    throw new CodedError('AuditLog', `the audit log ${path} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

async function openWebhook(
  { configFile, ...batches }: AuditWebhookConfiguration,
  { maxEventBytes }: AuditConfiguration,
  means: SinkMeans,
): Promise<AuditSink & Closable> {
  try {
    const { cluster } = kubeconfigTarget(await readKubeconfig(configFile));
    const transport = await openKubeconfigTransport({ file: configFile });
    const { openWebhookSink } = await loadAuditWebhook();
    const sink = openWebhookSink({
      transport,
      // The transport asks below the server's own path.
      path: new URL(cluster.server).pathname === '/' ? '/' : '',
      ...means,
      ...batches,
      ...(maxEventBytes === undefined ? {} : { largestEventBytes: maxEventBytes }),
    });
    return {
      write: (event) => sink.write(event),
      async close() {
        await sink.close();
        await transport.close();
      },
    };
  } catch (error) {
    throw new CodedError('AuditLog', `the audit webhook of ${configFile} cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Reads and checks a policy file. Throws CodedError `AuditPolicy`. */
export async function readAuditPolicy(file: string): Promise<AuditPolicy> {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new CodedError('AuditPolicy', `the audit policy ${file} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const { parseAuditPolicy } = await loadAuditPolicy();
  return parseAuditPolicy(bytes, file);
}
