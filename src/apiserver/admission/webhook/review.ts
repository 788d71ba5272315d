import type { AnyObject, Status } from '#api';
import { ApiError, errBadRequest, errInternal } from '#machinery';
import { CodedError, messageOf } from '#base';
import type { AdmissionAttributes } from '../../contract.ts';
import { callWebhook, type ServiceResolver } from './webhook-client.ts';
import type { Webhook } from './webhook-rules.ts';

/** What a webhook that let the request through said beside it. */
export interface Verdict {
  readonly patch?: readonly object[];
}

interface ReviewResponse {
  readonly uid?: string;
  readonly allowed?: boolean;
  readonly status?: Partial<Status>;
  readonly patch?: string;
  readonly patchType?: string;
  readonly warnings?: readonly string[];
  readonly auditAnnotations?: Readonly<Record<string, string>>;
}

export interface AskOptions {
  readonly webhook: Webhook;
  readonly attributes: AdmissionAttributes;
  /** As it was made, when the webhook sees it in another version. */
  readonly original?: AdmissionAttributes;
  readonly uid: string;
  readonly resolve: ServiceResolver;
  readonly mutating: boolean;
  /** In audit annotations: `round_0_index_2`. */
  readonly place: string;
}

/** Asks one webhook. Throws what the client is to see: the webhook's refusal, or its failure when the policy is Fail. */
export async function askWebhook(options: AskOptions): Promise<Verdict> {
  const { webhook, attributes } = options;
  if (attributes.dryRun && webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun') {
    throw errBadRequest(`admission webhook ${JSON.stringify(webhook.name)} does not support dry run`);
  }
  const version = reviewVersion(webhook);
  let response: ReviewResponse;
  let patch: readonly object[] | undefined;
  try {
    const answer = await callWebhook(webhook, JSON.stringify(reviewOf(options, version)), options.resolve);
    response = verified(answer, options, version);
    patch = response.allowed === true ? readPatch(response, options) : undefined;
  } catch (error) {
    if (webhook.failurePolicy === 'Ignore') {
      const kind = options.mutating ? 'mutation' : 'validating';
      attributes.annotate(`failed-open.${kind}.webhook.admission.k8s.io/${options.place}`, webhook.name);
      return {};
    }
    throw errInternal(`failed calling webhook ${JSON.stringify(webhook.name)}: ${messageOf(error)}`);
  }
  for (const [key, value] of Object.entries(response.auditAnnotations ?? {}))
    attributes.annotate(`${webhook.name}/${key}`, value);
  for (const warning of response.warnings ?? []) attributes.warn(warning);
  if (response.allowed !== true) throw denied(webhook.name, response.status ?? {});
  return patch === undefined ? {} : { patch };
}

type ReviewVersion = 'v1' | 'v1beta1';

/** The first of the webhook's versions that exists. */
function reviewVersion({ admissionReviewVersions }: Webhook): ReviewVersion {
  return admissionReviewVersions.find((one): one is ReviewVersion => one === 'v1' || one === 'v1beta1') ?? 'v1';
}

/** The AdmissionReview for a request. */
function reviewOf({ attributes, uid, original = attributes }: AskOptions, reviewedAs: ReviewVersion): object {
  const { group, version, kind, resource, subresource, namespace, name, identity, operation } = attributes;
  const sub = subresource === '' ? {} : { subResource: subresource, requestSubResource: subresource };
  return {
    kind: 'AdmissionReview',
    apiVersion: `admission.k8s.io/${reviewedAs}`,
    request: {
      uid,
      kind: { group, version, kind },
      resource: { group: resourceOf(attributes).group, version: resourceOf(attributes).version, resource },
      requestKind: { group: original.group, version: original.version, kind: original.kind },
      requestResource: { ...resourceOf(original), resource: original.resource },
      ...sub,
      ...(name === '' || name === undefined ? {} : { name }),
      ...(namespace === '' ? {} : { namespace }),
      operation,
      userInfo: {
        username: identity.user,
        ...(identity.uid === undefined ? {} : { uid: identity.uid }),
        groups: identity.groups,
        ...(identity.extra === undefined ? {} : { extra: identity.extra }),
      },
      object: attributes.object ?? null,
      oldObject: attributes.oldObject ?? null,
      dryRun: attributes.dryRun,
      options: Object.keys(attributes.options).length === 0 ? null : attributes.options,
    },
  };
}

/** Of the resource asked for: the kind of a sub-resource's body may be of another group. */
function resourceOf({ definition, group, version }: AdmissionAttributes): { group: string; version: string } {
  return definition === undefined
    ? { group, version }
    : { group: definition.resource.group, version: definition.resource.version };
}

/** The response of an answer that is one. Throws CodedError, in upstream's words, for any other. */
function verified(answer: unknown, { uid, mutating }: AskOptions, version: ReviewVersion): ReviewResponse {
  const invalid = (why: string): CodedError =>
    new CodedError('WebhookFailed', `received invalid webhook response: ${why}`);
  const { kind, apiVersion, response } = (typeof answer === 'object' && answer !== null ? answer : {}) as {
    kind?: string;
    apiVersion?: string;
    response?: ReviewResponse;
  };
  if (response === undefined || response === null || typeof response !== 'object')
    throw invalid('webhook response was absent');
  const { patch = '', patchType } = response;
  if (version === 'v1beta1') {
    // Older webhooks answer without an identity.
    if (patch === '' || !mutating) return { ...response, patch: '' };
    return { ...response, patchType: patchType ?? 'JSONPatch' };
  }
  if (response.uid !== uid)
    throw invalid(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
  if (kind !== 'AdmissionReview' || apiVersion !== 'admission.k8s.io/v1')
    throw invalid(
      `expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${apiVersion ?? ''}, Kind=${kind ?? ''}`,
    );
  const typed = patchType !== undefined && patchType !== null;
  if (!mutating) {
    if (patch !== '' && patch !== null) throw invalid('validating webhook may not return response.patch');
    if (typed) throw invalid('validating webhook may not return response.patchType');
    return response;
  }
  const patched = patch !== '' && patch !== null;
  if (patched && !typed) throw invalid('webhook returned response.patch but not response.patchType');
  if (!patched && typed) throw invalid('webhook returned response.patchType but not response.patch');
  if (patchType === '') throw invalid('webhook returned invalid response.patchType of ""');
  return response;
}

function readPatch(response: ReviewResponse, { mutating }: AskOptions): readonly object[] | undefined {
  if (!mutating || response.patch === undefined || response.patch === null || response.patch === '') return undefined;
  let patch: unknown;
  try {
    patch = JSON.parse(Buffer.from(response.patch, 'base64').toString('utf8'));
    if (!Array.isArray(patch)) throw new Error('a JSON patch is a list of operations');
  } catch (error) {
    throw new CodedError('WebhookFailed', `received undecodable patch in webhook response: ${messageOf(error)}`);
  }
  if (patch.length > 0 && response.patchType !== 'JSONPatch')
    throw new CodedError('WebhookFailed', `unsupported patch type ${JSON.stringify(response.patchType)}`);
  return patch as readonly object[];
}

function denied(name: string, result: Partial<Status>): ApiError {
  const by = `admission webhook ${JSON.stringify(name)} denied the request`;
  const why = result.message || result.reason;
  return new ApiError({
    ...result,
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: why === undefined || why === '' ? `${by} without explanation` : `${by}: ${why}`,
    code: (result.code ?? 0) < 400 ? 400 : result.code,
  } as Status);
}

/** Makes `draft` equal to `result`, in place. */
export function replaceContent(draft: AnyObject, result: object): void {
  for (const key of Object.keys(draft)) delete draft[key];
  Object.assign(draft, result);
}
