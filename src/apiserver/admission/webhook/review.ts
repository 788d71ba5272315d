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
}

/** Asks one webhook. Throws what the client is to see: the webhook's refusal, or its failure when the policy is Fail. */
export async function askWebhook(options: AskOptions): Promise<Verdict> {
  const { webhook, attributes } = options;
  if (attributes.dryRun && webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun') {
    throw errBadRequest(`admission webhook ${JSON.stringify(webhook.name)} does not support dry run`);
  }
  let response: ReviewResponse;
  let patch: readonly object[] | undefined;
  try {
    response = readResponse(await callWebhook(webhook, JSON.stringify(reviewOf(options)), options.resolve), options);
    patch = readPatch(response, options);
  } catch (error) {
    if (webhook.failurePolicy === 'Ignore') {
      attributes.annotate(`failed-open.validating.webhook.admission.k8s.io/${webhook.name}`, webhook.configuration);
      return {};
    }
    throw errInternal(`failed calling webhook ${JSON.stringify(webhook.name)}: ${messageOf(error)}`);
  }
  for (const warning of response.warnings ?? []) attributes.warn(warning);
  for (const [key, value] of Object.entries(response.auditAnnotations ?? {}))
    attributes.annotate(`${webhook.name}/${key}`, value);
  if (response.allowed !== true) throw denied(webhook.name, response.status ?? {});
  return patch === undefined ? {} : { patch };
}

/** The AdmissionReview for a request. */
function reviewOf({ attributes, uid, original = attributes }: AskOptions): object {
  const { group, version, kind, resource, subresource, namespace, name, identity, operation } = attributes;
  const sub = subresource === '' ? {} : { subResource: subresource, requestSubResource: subresource };
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid,
      kind: { group, version, kind },
      resource: { group, version, resource },
      requestKind: { group: original.group, version: original.version, kind: original.kind },
      requestResource: { group: original.group, version: original.version, resource: original.resource },
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

function readResponse(answer: unknown, { uid, webhook }: AskOptions): ReviewResponse {
  const { kind, apiVersion, response } = (typeof answer === 'object' && answer !== null ? answer : {}) as {
    kind?: string;
    apiVersion?: string;
    response?: ReviewResponse;
  };
  if (kind !== 'AdmissionReview' || apiVersion !== 'admission.k8s.io/v1') {
    throw new CodedError(
      'WebhookFailed',
      `received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview`,
    );
  }
  if (response === undefined || response === null) throw new CodedError('WebhookFailed', 'webhook response was absent');
  if (response.uid !== uid)
    throw new CodedError(
      'WebhookFailed',
      `received invalid webhook response: expected response.uid=${JSON.stringify(uid)} from ${webhook.name}`,
    );
  return response;
}

function readPatch(response: ReviewResponse, { mutating }: AskOptions): readonly object[] | undefined {
  if (!mutating || response.patch === undefined || response.patch === '') return undefined;
  if (response.patchType !== 'JSONPatch')
    throw new CodedError('WebhookFailed', `webhook returned response.patch but not a known patchType`);
  const patch: unknown = JSON.parse(Buffer.from(response.patch, 'base64').toString('utf8'));
  if (!Array.isArray(patch)) throw new CodedError('WebhookFailed', 'webhook returned a patch that is not a JSON Patch');
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
