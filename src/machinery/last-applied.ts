import type { AnyObject } from '#api';
import { compareTexts } from './field-set.ts';

/** Where `kubectl apply` without server side keeps what it sent. */
export const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

const mostAnnotationBytes = 256 * 1024;

/**
 * Brings the annotation of client-side apply up to date after kubectl applied on the server, so that either way of applying goes on from
 * the other. Only where it is there already; one that would make the annotations too large is taken off.
 */
export function recordLastApplied(draft: AnyObject, sent: object, manager: string): void {
  const { annotations } = draft.metadata;
  if (manager !== 'kubectl' || annotations === undefined || (annotations[lastApplied] ?? '') === '') return;
  const { metadata } = sent as { metadata?: { annotations?: Record<string, string> } };
  let config = sent;
  if (metadata?.annotations !== undefined && metadata.annotations !== null) {
    const { [lastApplied]: _, ...others } = metadata.annotations;
    config = { ...sent, metadata: { ...metadata, annotations: others } };
  }
  const next = { ...annotations, [lastApplied]: `${sortedJson(config)}\n` };
  let size = 0;
  for (const [key, value] of Object.entries(next)) size += Buffer.byteLength(key) + Buffer.byteLength(value);
  if (size > mostAnnotationBytes) delete (next as Record<string, string>)[lastApplied];
  draft.metadata.annotations = next;
}

const escaped: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

/** JSON with sorted keys, escaped as upstream's encoder does. */
function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value).sort(compareTexts);
    return `{${keys.map((key) => `${sortedJson(key)}:${sortedJson((value as Record<string, unknown>)[key])}`).join(',')}}`;
  }
  if (typeof value === 'bigint') return String(value);
  return (JSON.stringify(value) ?? 'null').replace(/[<>&\u2028\u2029]/g, (one) => escaped[one] as string);
}
