import { readFileSync } from 'node:fs';
import {
  type ApiServerOptions,
  type AuditPolicy,
  auditLink,
  auditRefusal,
  loadAuditPolicy,
  metadataPolicy,
  openFileSink,
} from '#apiserver';
import { type Clock, type Closable, CodedError, type Log, messageOf, type Random } from '#base';

/** Where and how requests are recorded. */
export interface AuditConfiguration {
  /** An audit.k8s.io/v1 Policy; absent: who did what to which object, without contents. */
  readonly policyFile?: string;
  readonly logPath: string;
  /** A file of this size is put aside; default 100. */
  readonly maxSizeMib?: number;
  /** How many of those stay; default 10. */
  readonly maxBackups?: number;
  /** For how long; absent: no limit. */
  readonly maxAgeDays?: number;
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
  const { policyFile, logPath, maxSizeMib, maxBackups, maxAgeDays } = configuration;
  const policy = policyFile === undefined ? metadataPolicy : await readAuditPolicy(policyFile);
  try {
    const sink = openFileSink({
      path: logPath,
      clock,
      log: log.child({ component: 'audit' }),
      ...(maxSizeMib === undefined ? {} : { largestBytes: maxSizeMib * 2 ** 20 }),
      ...(maxBackups === undefined ? {} : { kept: maxBackups }),
      ...(maxAgeDays === undefined ? {} : { oldestMs: maxAgeDays * dayMs }),
    });
    const recording = { policy, sink, clock, random };
    return {
      options: { audit: auditLink(recording), onUnauthenticated: auditRefusal(recording) },
      close: () => sink.close(),
    };
  } catch (error) {
    throw new CodedError('AuditLog', `the audit log ${logPath} cannot be written: ${messageOf(error)}`, {
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
