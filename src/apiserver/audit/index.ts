export { type AuditOptions, auditLink } from './audit.link.ts';
export { type AuditLevel, type AuditPolicy, type AuditRule, metadataPolicy } from './policy.ts';
export { type AuditSink, type FileSinkOptions, openFileSink } from './sink.ts';
