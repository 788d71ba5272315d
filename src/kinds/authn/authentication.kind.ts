import { resource, type TokenReview } from '#api';
import { defineKind } from '../definition.ts';
import { createOnly } from '../verbs.ts';
import { validateTokenReview } from './review-validation.ts';

const review = { verbs: createOnly, stored: false, columns: [] } as const;

export const selfSubjectReviewKind = defineKind({
  resource: resource('authentication.k8s.io/v1', 'selfsubjectreviews'),
  ...review,
});

export const tokenReviewKind = defineKind({
  resource: resource('authentication.k8s.io/v1', 'tokenreviews'),
  ...review,
});
