import type { Job } from '#api';
import { sameValue } from '../findings.ts';

const uidLabels = ['batch.kubernetes.io/controller-uid', 'controller-uid'];
const nameLabels = ['batch.kubernetes.io/job-name', 'job-name'];

/** Gives a Job without manualSelector the selector and template labels of its own uid and name, where it brings none. Labels that it took from its template go with the template's. */
export function generateJobSelector(job: Job): void {
  const spec = job.spec;
  if (spec?.template == null || spec.manualSelector === true) return;
  spec.template.metadata ??= {};
  const labels = (spec.template.metadata.labels ??= {});
  const copied = Object.keys(labels).length > 0 && sameValue(labels, job.metadata.labels);
  for (const label of uidLabels) if (!Object.hasOwn(labels, label)) labels[label] = job.metadata.uid;
  for (const label of nameLabels) if (!Object.hasOwn(labels, label)) labels[label] = job.metadata.name;
  if (copied) job.metadata.labels = { ...labels };
  spec.selector ??= {};
  spec.selector.matchLabels ??= {};
  const [uidLabel = ''] = uidLabels;
  if (!Object.hasOwn(spec.selector.matchLabels, uidLabel)) spec.selector.matchLabels[uidLabel] = job.metadata.uid;
}
