import type { LocalSubjectAccessReview, SelfSubjectAccessReview, SubjectAccessReview, TokenReview } from '#api';
import type { FieldError } from '#machinery';
import { Findings } from '../findings.ts';

interface Attributes {
  resourceAttributes?: object;
  nonResourceAttributes?: object;
}

function validateAttributes(spec: Attributes | undefined, found: Findings): void {
  if (spec?.resourceAttributes != null && spec.nonResourceAttributes != null)
    found.invalid(
      'spec.nonResourceAttributes',
      spec.nonResourceAttributes,
      'cannot be specified in combination with resourceAttributes',
    );
  if (spec?.resourceAttributes == null && spec?.nonResourceAttributes == null)
    found.invalid(
      'spec.resourceAttributes',
      undefined,
      'exactly one of nonResourceAttributes or resourceAttributes must be specified',
    );
}

export function validateSelfAccessReview({ spec }: SelfSubjectAccessReview): FieldError[] {
  const found = new Findings();
  validateAttributes(spec, found);
  return found.list;
}

export function validateAccessReview({ spec }: SubjectAccessReview): FieldError[] {
  const found = new Findings();
  validateAttributes(spec, found);
  if (!spec?.user && !spec?.groups?.length)
    found.invalid('spec.user', spec?.user ?? '', 'at least one of user or group must be specified');
  return found.list;
}

export function validateLocalAccessReview(review: LocalSubjectAccessReview): FieldError[] {
  const found = new Findings();
  const { spec, metadata } = review;
  found.add(validateAccessReview(review));
  const namespace = spec?.resourceAttributes?.namespace ?? '';
  if (spec?.resourceAttributes != null && namespace !== (metadata.namespace ?? ''))
    found.invalid('spec.resourceAttributes.namespace', namespace, 'must match metadata.namespace');
  if (spec?.nonResourceAttributes != null)
    found.invalid('spec.nonResourceAttributes', spec.nonResourceAttributes, 'disallowed on this kind of request');
  return found.list;
}

export function validateTokenReview({ spec }: TokenReview): FieldError[] {
  const found = new Findings();
  found.present('spec.token', spec?.token);
  return found.list;
}
