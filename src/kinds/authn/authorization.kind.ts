import { resource } from '#api';
import { defineKind } from '../definition.ts';
import { createOnly } from '../verbs.ts';

const review = { verbs: createOnly, stored: false, columns: [] } as const;
const authorization = (plural: string) => resource('authorization.k8s.io/v1', plural);

export const localSubjectAccessReviewKind = defineKind({
  resource: authorization('localsubjectaccessreviews'),
  ...review,
});

export const selfSubjectAccessReviewKind = defineKind({
  resource: authorization('selfsubjectaccessreviews'),
  ...review,
});

export const selfSubjectRulesReviewKind = defineKind({ resource: authorization('selfsubjectrulesreviews'), ...review });

export const subjectAccessReviewKind = defineKind({ resource: authorization('subjectaccessreviews'), ...review });
