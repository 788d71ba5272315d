export { type AuditOptions, auditLink, auditRefusal } from './audit.link.ts';
/** The parser of policy files, loaded when there is one. */
export const loadAuditPolicy = () => import('./policy-file.ts');
export { type AuditLevel, type AuditPolicy, type AuditRule, metadataPolicy } from './policy.ts';
export { allSinks, type AuditSink, type FileSinkOptions, openFileSink } from './sink.ts';
/** The sender to a webhook, loaded when there is one. */
export const loadAuditWebhook = () => import('./webhook-sink.ts');
export type { WebhookSinkOptions } from './webhook-sink.ts';
