export type { AdmissionOptions } from './options.ts';
export { admissionPlugins } from './order.ts';
export { systemPriorityClasses } from './priority.admission.ts';
export type { ServiceResolver } from './webhook/webhook-client.ts';
