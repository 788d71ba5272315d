import type { AnyObject } from '#api';
import { errBadRequest, errInvalid, type FieldError, forbiddenError, invalidError, requiredError } from '#machinery';
import type { Identity } from '#wire';
import type { Authorizer, RequestAttributes, ReviewHandler } from '../contract.ts';

interface SelectorAttributes {
  readonly rawSelector?: string;
  readonly requirements?: readonly { key?: string; operator?: string; values?: readonly string[] }[];
}

interface ReviewSpec {
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly resourceAttributes?: {
    readonly namespace?: string;
    readonly verb?: string;
    readonly group?: string;
    readonly version?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly name?: string;
    readonly fieldSelector?: SelectorAttributes;
    readonly labelSelector?: SelectorAttributes;
  };
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string };
}

/** The answers of authorization.k8s.io: what `kubectl auth can-i` asks. By `group/plural`. */
export function accessReviewHandlers(authorizer: Authorizer): Readonly<Record<string, ReviewHandler>> {
  const answer = async (review: AnyObject, identity: Identity): Promise<AnyObject> => {
    const { decision, reason } = await authorizer.authorize(attributesOf(specOf(review), identity));
    return {
      ...review,
      status: {
        allowed: decision === 'allow',
        ...(decision === 'deny' ? { denied: true } : {}),
        ...(reason === '' ? {} : { reason }),
      },
    };
  };
  return {
    'authorization.k8s.io/subjectaccessreviews': async (review) => {
      refuse(review, [...subjectErrors(specOf(review)), ...attributeErrors(specOf(review))]);
      return answer(review, subjectOf(specOf(review)));
    },
    'authorization.k8s.io/localsubjectaccessreviews': async (review, request) => {
      const spec = specOf(review);
      const errors = [...subjectErrors(spec), ...attributeErrors(spec)];
      if (spec.nonResourceAttributes !== undefined)
        errors.push(
          invalidError('spec.nonResourceAttributes', spec.nonResourceAttributes, 'disallowed on this kind of request'),
        );
      if (spec.resourceAttributes !== undefined && spec.resourceAttributes.namespace !== request.info.namespace) {
        errors.push(
          invalidError(
            'spec.resourceAttributes.namespace',
            spec.resourceAttributes.namespace,
            'must match metadata.namespace',
          ),
        );
      }
      refuse(review, errors);
      return answer(review, subjectOf(spec));
    },
    'authorization.k8s.io/selfsubjectaccessreviews': async (review, request) => {
      refuse(review, attributeErrors(specOf(review)));
      return answer(review, request.identity);
    },
    'authorization.k8s.io/selfsubjectrulesreviews': async (review, request) => {
      const namespace = (review.spec as { namespace?: string } | undefined)?.namespace ?? '';
      if (namespace === '') throw errBadRequest('no namespace on request');
      const rules = await authorizer.rulesFor?.(request.identity, namespace);
      return { ...review, spec: {}, status: rules ?? { resourceRules: [], nonResourceRules: [], incomplete: true } };
    },
  };
}

const specOf = (review: AnyObject): ReviewSpec => (review.spec ?? {}) as ReviewSpec;

const subjectOf = (spec: ReviewSpec): Identity => ({
  user: spec.user ?? '',
  groups: spec.groups ?? [],
  ...(spec.uid === undefined ? {} : { uid: spec.uid }),
  ...(spec.extra === undefined ? {} : { extra: spec.extra }),
});

function attributesOf(spec: ReviewSpec, identity: Identity): RequestAttributes {
  const { resourceAttributes: asked, nonResourceAttributes: path } = spec;
  const selector = asked?.fieldSelector;
  const fieldSelector =
    selector?.rawSelector ??
    selector?.requirements
      ?.filter((one) => one.operator === 'In' && one.values?.length === 1)
      .map((one) => `${one.key}=${one.values?.[0]}`)
      .join(',');
  return {
    identity,
    verb: asked?.verb ?? path?.verb ?? '',
    isResource: asked !== undefined,
    group: asked?.group ?? '',
    version: asked?.version ?? '',
    resource: asked?.resource ?? '',
    subresource: asked?.subresource ?? '',
    namespace: asked?.namespace ?? '',
    name: asked?.name ?? '',
    path: path?.path ?? '',
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
}

function attributeErrors(spec: ReviewSpec): FieldError[] {
  if (spec.resourceAttributes !== undefined && spec.nonResourceAttributes !== undefined) {
    return [
      invalidError(
        'spec.nonResourceAttributes',
        spec.nonResourceAttributes,
        'cannot be specified in combination with resourceAttributes',
      ),
    ];
  }
  if (spec.resourceAttributes === undefined && spec.nonResourceAttributes === undefined) {
    return [
      invalidError(
        'spec.resourceAttributes',
        spec.resourceAttributes,
        'exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ),
    ];
  }
  return (['fieldSelector', 'labelSelector'] as const).flatMap((name) =>
    selectorErrors(spec.resourceAttributes?.[name], `spec.resourceAttributes.${name}`),
  );
}

/** Operators that are not known here are left to authorizers that may know them. */
function selectorErrors(selector: SelectorAttributes | undefined, field: string): FieldError[] {
  if (selector === undefined || selector === null) return [];
  const { rawSelector = '', requirements = [] } = selector;
  const found: FieldError[] = [];
  if (rawSelector !== '' && requirements.length > 0)
    found.push(invalidError(`${field}.rawSelector`, rawSelector, 'may not specified at the same time as requirements'));
  if (rawSelector === '' && requirements.length === 0)
    found.push(
      requiredError(`${field}.requirements`, `when ${field} is specified, requirements or rawSelector is required`),
    );
  for (const [index, { key = '', operator = '', values = [] }] of requirements.entries()) {
    const at = `${field}.requirements[${index}]`;
    if (key === '') found.push(requiredError(`${at}.key`, 'must be specified'));
    if ((operator === 'In' || operator === 'NotIn') && values.length === 0)
      found.push(requiredError(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0)
      found.push(forbiddenError(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  }
  return found;
}

function subjectErrors(spec: ReviewSpec): FieldError[] {
  if ((spec.user ?? '') !== '' || (spec.groups ?? []).length > 0) return [];
  return [invalidError('spec.user', spec.user ?? '', 'at least one of user or group must be specified')];
}

function refuse(review: AnyObject, errors: FieldError[]): void {
  if (errors.length > 0) throw errInvalid({ group: 'authorization.k8s.io', kind: review.kind }, '', errors);
}
