import type { CustomResourceDefinition } from '#api';
import { type FieldError, invalidError, requiredError } from '#machinery';

const annotation = 'api-approved.kubernetes.io';
const about = 'see https://github.com/kubernetes/enhancements/pull/1111';

/** Whether a group's names belong to the Kubernetes community, and a definition in it has been approved there. */
export interface Approval {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

function isProtected(group: string): boolean {
  return ['k8s.io', 'kubernetes.io'].some((one) => group === one || group.endsWith(`.${one}`));
}

/** Undefined for groups that are anyone's. */
export function approvalOf({ metadata, spec }: CustomResourceDefinition): Approval | undefined {
  if (!isProtected(spec.group)) return undefined;
  const value = metadata.annotations?.[annotation] ?? '';
  if (value === '') {
    const message = `protected groups must have approval annotation ${JSON.stringify(annotation)}, ${about}`;
    return { status: 'False', reason: 'MissingAnnotation', message };
  }
  if (value.startsWith('unapproved'))
    return { status: 'False', reason: 'UnapprovedAnnotation', message: `not approved: ${JSON.stringify(value)}` };
  if (URL.canParse(value) && new URL(value).host !== '')
    return { status: 'True', reason: 'ApprovedAnnotation', message: `approved in ${value}` };
  const message = `protected groups must have approval annotation ${JSON.stringify(annotation)} with either a URL or a reason starting with "unapproved", ${about}`;
  return { status: 'False', reason: 'InvalidAnnotation', message };
}

/** A new definition in a protected group says who has approved it, or that no one has; an old one may stay as it was. */
export function approvalErrors(crd: CustomResourceDefinition, old?: CustomResourceDefinition): FieldError[] {
  const approval = approvalOf(crd);
  if (approval === undefined || approval.status === 'True' || approval.reason === 'UnapprovedAnnotation') return [];
  if (old !== undefined && approvalOf(old)?.reason === approval.reason) return [];
  const field = `metadata.annotations[${annotation}]`;
  return [
    approval.reason === 'MissingAnnotation'
      ? requiredError(field, approval.message)
      : invalidError(field, crd.metadata.annotations?.[annotation], approval.message),
  ];
}
