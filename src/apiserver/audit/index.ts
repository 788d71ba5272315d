export { type AuditOptions, auditLink, auditRefusal } from './audit.link.ts';
/** The parser of policy files, loaded when there is one. */
export const loadAuditPolicy = () => import('./policy-file.ts');
export { type AuditLevel, type AuditPolicy, type AuditRule, metadataPolicy } from './policy.ts';
export { type AuditSink, type FileSinkOptions, openFileSink } from './sink.ts';
