import { rfc3339Micro } from '#base';
import type { Identity } from '#wire';
import type { ServerRequest } from '../contract.ts';
import type { AuditDecision, AuditStage } from './policy.ts';

/** How a request ended, as an event shows it: a Status without its metadata, or only the code. */
export interface AuditOutcome {
  readonly status?: string | undefined;
  readonly message?: string | undefined;
  readonly reason?: string | undefined;
  readonly details?: object | undefined;
  readonly code: number;
}

export interface EventSource {
  readonly request: ServerRequest;
  readonly decision: AuditDecision;
  readonly auditId: string;
  readonly caller: Identity;
  readonly stage: AuditStage;
  readonly outcome?: AuditOutcome;
  readonly responseObject?: object;
  readonly nowMs: number;
}

const longestUserAgent = 1024;
/** Addresses of proxies are whatever a client writes. */
const mostAddresses = 32;

/** One audit.k8s.io/v1 Event. Fields stand in upstream's order. */
export function auditEvent(source: EventSource): object {
  const { request, decision, auditId, caller, stage, outcome, responseObject, nowMs } = source;
  const { info } = request;
  const { level } = decision;
  const shown = (object: object): object => (decision.omitManagedFields ? withoutManagedFields(object) : object);
  const asked = level === 'Request' || level === 'RequestResponse' ? request.audited?.requestObject : undefined;
  const answered = level === 'RequestResponse' ? responseObject : undefined;
  const agent = request.headers['user-agent'];
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level,
    auditID: auditId,
    stage,
    requestURI: request.target,
    verb: info.verb,
    user: userOf(caller),
    ...(request.impersonator === undefined ? {} : { impersonatedUser: userOf(request.identity) }),
    ...sourceAddresses(request),
    ...(agent === undefined ? {} : { userAgent: agentOf(agent) }),
    ...(info.isResource ? { objectRef: objectOf(request) } : {}),
    ...(outcome === undefined ? {} : { responseStatus: { metadata: {}, ...outcome } }),
    ...(asked === undefined ? {} : { requestObject: shown(asked) }),
    ...(answered === undefined ? {} : { responseObject: shown(answered) }),
    requestReceivedTimestamp: rfc3339Micro(request.receivedMs),
    stageTimestamp: rfc3339Micro(nowMs),
    ...annotationsOf(request),
  };
}

function annotationsOf(request: ServerRequest): { readonly annotations?: Record<string, string> } {
  const annotations = Object.fromEntries(request.annotations);
  const { authentication, source } = request;
  const authenticator = source.trusted === undefined ? authentication?.authenticator : 'in-process';
  if (authenticator !== undefined) annotations['authentication.k8s.io/authenticator'] = authenticator;
  // Users of certificates and service accounts carry theirs in `extra`; who vouched for a user, and with which token, is said here.
  const { credentialId, identity } = authentication ?? {};
  if (credentialId !== undefined && identity?.extra?.['authentication.kubernetes.io/credential-id'] === undefined)
    annotations['authentication.k8s.io/credential-id'] = credentialId;
  return Object.keys(annotations).length === 0 ? {} : { annotations };
}

/** Who the client says that it speaks for, then the peer: all but the last may be made up. */
function sourceAddresses({ headers, source }: ServerRequest): { readonly sourceIPs?: readonly string[] } {
  const said = [...(headers['x-forwarded-for'] ?? '').split(','), ...(headers['x-real-ip'] ?? '').split(',')]
    .map((one) => one.trim())
    .filter((one, index, all) => /^[0-9a-fA-F:.]{2,45}$/.test(one) && all.indexOf(one) === index)
    .slice(0, mostAddresses);
  const peer = source.remoteAddress;
  if (peer !== '' && said.at(-1) !== peer) said.push(peer);
  return said.length === 0 ? {} : { sourceIPs: said };
}

const agentOf = (agent: string): string =>
  agent.length <= longestUserAgent ? agent : `${agent.slice(0, longestUserAgent)}...TRUNCATED`;

/** A copy without `metadata.managedFields`, also of a list's items and a table's rows. */
function withoutManagedFields(object: object): object {
  const { items, rows } = object as { items?: unknown; rows?: unknown };
  if (Array.isArray(items)) return { ...object, items: items.map(stripped) };
  if (Array.isArray(rows))
    return { ...object, rows: rows.map((row) => (row?.object ? { ...row, object: stripped(row.object) } : row)) };
  return stripped(object);
}

function stripped(object: object): object {
  const { metadata } = object as { metadata?: object };
  return metadata === undefined ? object : { ...object, metadata: { ...metadata, managedFields: undefined } };
}

function userOf(identity: Identity): object {
  const { user, uid, groups, extra } = identity;
  return {
    ...(user === '' ? {} : { username: user }),
    ...(uid === undefined ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(extra === undefined || Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

/** What the path names, completed by what the object in the body says of itself. */
function objectOf({ info, objectMeta }: ServerRequest): object {
  const { group, version, resource, subresource, namespace } = info;
  const name = info.name !== '' ? info.name : objectMeta?.name;
  const set = (field: string, value: string | undefined): object =>
    value === undefined || value === '' ? {} : { [field]: value };
  return {
    resource,
    ...set('namespace', namespace),
    ...set('name', name),
    ...set('uid', objectMeta?.uid),
    ...set('apiGroup', group),
    apiVersion: version,
    ...set('resourceVersion', objectMeta?.resourceVersion),
    ...set('subresource', subresource),
  };
}
