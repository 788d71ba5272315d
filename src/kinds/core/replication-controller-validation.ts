import type { ReplicationController } from '#api';
import { type FieldError, labelSelectorFromMap } from '#machinery';
import { Findings } from '../findings.ts';
import { validatePodTemplate } from './pod-validation.ts';

export function validateReplicationController({ spec }: ReplicationController): FieldError[] {
  const found = new Findings();
  found.nonNegative('spec.minReadySeconds', spec?.minReadySeconds);
  const selector = spec?.selector ?? {};
  if (Object.keys(selector).length === 0) found.required('spec.selector');
  found.nonNegative('spec.replicas', spec?.replicas);
  if (spec?.template == null) {
    found.required('spec.template');
    return found.list;
  }
  const labels = spec.template.metadata?.labels;
  if (Object.keys(selector).length > 0 && !labelSelectorFromMap(selector).matches(labels))
    found.invalid('spec.template.metadata.labels', labels ?? {}, '`selector` does not match template `labels`');
  validatePodTemplate(spec.template, 'spec.template', found);
  const pod = spec.template.spec;
  if (pod?.restartPolicy !== 'Always')
    found.notSupported('spec.template.spec.restartPolicy', pod?.restartPolicy ?? '', ['Always']);
  if (pod?.activeDeadlineSeconds != null)
    found.forbidden(
      'spec.template.spec.activeDeadlineSeconds',
      'activeDeadlineSeconds in ReplicationController is not Supported',
    );
  return found.list;
}
