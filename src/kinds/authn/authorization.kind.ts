import { type LocalSubjectAccessReview, resource, type SelfSubjectAccessReview, type SubjectAccessReview } from '#api';
import { defineKind } from '../definition.ts';
import { createOnly } from '../verbs.ts';
import { validateAccessReview, validateLocalAccessReview, validateSelfAccessReview } from './review-validation.ts';

const review = { verbs: createOnly, stored: false, columns: [] } as const;
const authorization = (plural: string) => resource('authorization.k8s.io/v1', plural);

export const localSubjectAccessReviewKind = defineKind<LocalSubjectAccessReview>({
  resource: authorization('localsubjectaccessreviews'),
  ...review,
  validate: validateLocalAccessReview,
});

export const selfSubjectAccessReviewKind = defineKind<SelfSubjectAccessReview>({
  resource: authorization('selfsubjectaccessreviews'),
  ...review,
  validate: validateSelfAccessReview,
});

export const selfSubjectRulesReviewKind = defineKind({ resource: authorization('selfsubjectrulesreviews'), ...review });

export const subjectAccessReviewKind = defineKind<SubjectAccessReview>({
  resource: authorization('subjectaccessreviews'),
  ...review,
  validate: validateAccessReview,
});
