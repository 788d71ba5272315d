import { messageOf, rfc3339 } from '#base';
import { type CertificateSigningRequest, type Node, resource } from '#api';
import { changesOf, type Outcome, startController } from '#client';
import { isNotFound, parseTimeMs } from '#machinery';
import { parseCertificateRequest, signCertificateRequest } from '#pki';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import {
  approvalPermission,
  conditionOf,
  expiresInMs,
  kubeletServingSigner,
  servingApproval,
  signerObjection,
} from './plan.ts';

const requests = resource('certificates.k8s.io/v1', 'certificatesigningrequests');
const reviews = resource('authorization.k8s.io/v1', 'subjectaccessreviews');
const yearMs = 365 * 86_400_000;
const backdateMs = 300_000;

const pemOf = (csr: CertificateSigningRequest): string => Buffer.from(csr.spec.request, 'base64').toString('utf8');

/** When a request is looked at again whose node has not reported its addresses; later each time. */
const nodeLookMs = 250;

/** Approves kubelets' client certificates for those who may have them, and their serving certificates for their own addresses. */
function startApproving(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const nodes = informers.of<Node>(resource('v1', 'nodes'));
  const informer = informers.of<CertificateSigningRequest>(requests);

  async function reconcile(name: string): Promise<Outcome> {
    const csr = informer.get(undefined, name);
    if (csr === undefined || csr.status?.certificate || conditionOf(csr, 'Approved') || conditionOf(csr, 'Denied'))
      return;
    if (csr.spec.signerName === kubeletServingSigner) {
      const allowed = servingFor(csr);
      const ageMs = clock.nowMs() - parseTimeMs(csr.metadata.creationTimestamp);
      if (allowed === undefined) return { requeueAfterMs: Math.max(nodeLookMs, ageMs / 4) };
      if (allowed) await approve(csr, "Auto approving kubelet serving certificate for its node's addresses.");
      return;
    }
    const permission = permissionFor(csr);
    if (permission === undefined || !(await isAllowed(csr, permission))) return;
    const what = permission === 'selfnodeclient' ? 'self kubelet client certificate' : 'kubelet client certificate';
    await approve(csr, `Auto approving ${what} after SubjectAccessReview.`);
  }

  async function approve(csr: CertificateSigningRequest, message: string): Promise<void> {
    const now = rfc3339(clock.nowMs());
    const condition = {
      type: 'Approved',
      status: 'True',
      reason: 'AutoApproved',
      message,
      lastUpdateTime: now,
      lastTransitionTime: now,
    };
    const conditions = [...(csr.status?.conditions ?? []), condition];
    informer.observe(
      await client.update<CertificateSigningRequest>(
        requests,
        { ...csr, status: { ...csr.status, conditions } },
        { subresource: 'approval' },
      ),
    );
  }

  function permissionFor(csr: CertificateSigningRequest): string | undefined {
    try {
      return approvalPermission(csr, parseCertificateRequest(pemOf(csr)));
    } catch {
      return undefined;
    }
  }

  function servingFor(csr: CertificateSigningRequest): boolean | undefined {
    try {
      return servingApproval(csr, parseCertificateRequest(pemOf(csr)), nodes.list());
    } catch {
      return false;
    }
  }

  async function isAllowed({ spec }: CertificateSigningRequest, subresource: string): Promise<boolean> {
    const resourceAttributes = {
      group: 'certificates.k8s.io',
      resource: 'certificatesigningrequests',
      verb: 'create',
      subresource,
      version: '*',
    };
    const { username, uid, groups, extra } = spec;
    const review = { metadata: {}, spec: { user: username, uid, groups, extra, resourceAttributes } };
    const answer = (await client.create(reviews, review as never)) as unknown as { status?: { allowed?: boolean } };
    return answer.status?.allowed === true;
  }

  return startController({
    name: 'csr-approving',
    queueName: 'certificate',
    clock,
    log,
    sources: [changesOf(informer)],
    reconcile,
  });
}

/** Signs what is approved, if it is what its signer signs. */
function startSigning(context: ControllerContext): RunningPart {
  const { client, informers, clock, log, settings } = context;
  const informer = informers.of<CertificateSigningRequest>(requests);

  async function reconcile(name: string): Promise<Outcome> {
    const csr = informer.get(undefined, name);
    const { signer } = settings;
    if (signer === undefined || csr === undefined || csr.status?.certificate || !conditionOf(csr, 'Approved')) return;
    if (conditionOf(csr, 'Denied') || conditionOf(csr, 'Failed') || !isOurs(csr)) return;
    let certificate: string;
    try {
      const request = parseCertificateRequest(pemOf(csr));
      const objection = signerObjection(csr.spec.signerName, csr.spec.usages ?? [], request);
      if (objection !== undefined) throw new Error(objection);
      const nowMs = clock.nowMs();
      const longestMs = settings.certificateDurationMs ?? yearMs;
      const askedMs =
        csr.spec.expirationSeconds === undefined ? longestMs : Math.max(600_000, csr.spec.expirationSeconds * 1000);
      certificate = signCertificateRequest(signer, request, {
        usages: [csr.spec.signerName === kubeletServingSigner ? 'server' : 'client'],
        notBeforeMs: nowMs - backdateMs,
        notAfterMs: nowMs + Math.min(askedMs, longestMs),
      });
    } catch (error) {
      return writeFailure(csr, messageOf(error));
    }
    const status = { ...csr.status, certificate: Buffer.from(certificate).toString('base64') };
    informer.observe(
      await client.update<CertificateSigningRequest>(requests, { ...csr, status }, { subresource: 'status' }),
    );
  }

  async function writeFailure(csr: CertificateSigningRequest, message: string): Promise<void> {
    const now = rfc3339(clock.nowMs());
    const condition = {
      type: 'Failed',
      status: 'True',
      reason: 'SignerValidationFailure',
      message,
      lastUpdateTime: now,
      lastTransitionTime: now,
    };
    const status = { ...csr.status, conditions: [...(csr.status?.conditions ?? []), condition] };
    informer.observe(
      await client.update<CertificateSigningRequest>(requests, { ...csr, status }, { subresource: 'status' }),
    );
  }

  return startController({
    name: 'csr-signing',
    queueName: 'certificate',
    clock,
    log,
    sources: [changesOf(informer)],
    reconcile,
  });
}

function isOurs({ spec }: CertificateSigningRequest): boolean {
  return [
    'kubernetes.io/kube-apiserver-client',
    'kubernetes.io/kube-apiserver-client-kubelet',
    kubeletServingSigner,
  ].includes(spec.signerName);
}

/** Removes requests that nobody decided for a day, or that were decided an hour ago. */
function startCleaning(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<CertificateSigningRequest>(requests);

  async function reconcile(name: string): Promise<Outcome> {
    const csr = informer.get(undefined, name);
    if (csr === undefined) return;
    const leftMs = expiresInMs(csr, clock.nowMs());
    if (leftMs > 0) return { requeueAfterMs: leftMs };
    await client.delete(requests, name, { preconditions: { uid: csr.metadata.uid } }).catch((error) => {
      if (!isNotFound(error)) throw error;
    });
  }

  return startController({
    name: 'csr-cleaner',
    queueName: 'certificate',
    clock,
    log,
    sources: [changesOf(informer)],
    reconcile,
  });
}

export const csrApprovingController = defineController({
  name: 'certificatesigningrequest-approving-controller',
  start: startApproving,
});
export const csrSigningController = defineController({
  name: 'certificatesigningrequest-signing-controller',
  start: startSigning,
});
export const csrCleanerController = defineController({
  name: 'certificatesigningrequest-cleaner-controller',
  start: startCleaning,
});
