import { type Clock, type Random, rfc3339Micro } from '#base';
import { statusOf } from '#machinery';
import type { Identity } from '#wire';
import type { Link, ServerRequest, ServerResponse } from '../contract.ts';
import { type AuditDecision, type AuditPolicy, type AuditStage, decideAudit } from './policy.ts';
import type { AuditSink } from './sink.ts';

export interface AuditOptions {
  readonly policy: AuditPolicy;
  readonly sink: AuditSink;
  readonly clock: Clock;
  readonly random: Random;
}

const idForm = /^[A-Za-z0-9-]{1,64}$/;

/** Records what was asked, by whom, found out how, and how it ended. Long answers are recorded when they begin and when they end. */
export function auditLink(options: AuditOptions): Link {
  const { policy, sink, clock, random } = options;
  return async (request, next) => {
    const decision = decideAudit(policy, request);
    const { level, omitStages } = decision;
    const asked = request.headers['audit-id'];
    const auditId = request.auditId ?? (asked !== undefined && idForm.test(asked) ? asked : random.uuid());
    request.auditId = auditId;
    const caller = request.identity;
    if (level === 'Request' || level === 'RequestResponse') request.audited ??= {};
    const record = (stage: AuditStage, code?: number, failure?: object): void => {
      if (level !== 'None' && !omitStages.includes(stage))
        sink.write(
          eventOf({
            request,
            decision,
            auditId,
            caller,
            stage,
            ...(code === undefined ? {} : { code }),
            nowMs: clock.nowMs(),
            ...(failure === undefined ? {} : { failure }),
          }),
        );
    };
    record('RequestReceived');
    let response: ServerResponse;
    try {
      response = await next(request);
    } catch (error) {
      const status = statusOf(error);
      record('ResponseComplete', status.code ?? 500, {
        status: status.status,
        message: status.message,
        reason: status.reason,
      });
      throw error;
    }
    const { stream } = response;
    if (stream === undefined) {
      record('ResponseComplete', response.status);
      return response;
    }
    record('ResponseStarted', response.status);
    return {
      ...response,
      stream(target) {
        target.onClose(() => record('ResponseComplete', response.status));
        stream(target);
      },
    };
  };
}

const nobody: Identity = { user: '', groups: [] };

/** Records a request that ended before anyone knew who asked; rules that name users or groups do not fit it. */
export function auditRefusal(options: AuditOptions): (request: ServerRequest, error: unknown) => void {
  const { policy, sink, clock, random } = options;
  return (request, error) => {
    const decision = decideAudit(policy, { identity: nobody, info: request.info });
    if (decision.level === 'None' || decision.omitStages.includes('ResponseStarted')) return;
    request.auditId ??= random.uuid();
    const status = statusOf(error);
    const tried = request.headers.authorization === undefined ? 'a certificate or nothing' : 'a bearer token';
    sink.write(
      eventOf({
        request,
        decision: { ...decision, level: 'Metadata' },
        auditId: request.auditId,
        caller: nobody,
        stage: 'ResponseStarted',
        code: status.code ?? 401,
        failure: { status: status.status, message: `authentication failed: tried ${tried}`, reason: status.reason },
        nowMs: clock.nowMs(),
      }),
    );
  };
}

interface EventSource {
  readonly request: ServerRequest;
  readonly decision: AuditDecision;
  readonly auditId: string;
  readonly caller: Identity;
  readonly stage: AuditStage;
  readonly code?: number;
  readonly nowMs: number;
  readonly failure?: object;
}

function eventOf({ request, decision, auditId, caller, stage, code, nowMs, failure }: EventSource): object {
  const { info, source, authentication } = request;
  const annotations = Object.fromEntries(request.annotations);
  annotations['authentication.k8s.io/authenticator'] =
    source.trusted === undefined ? (authentication?.authenticator ?? '') : 'in-process';
  if (authentication?.credentialId !== undefined)
    annotations['authentication.k8s.io/credential-id'] = authentication.credentialId;
  const { level, omitManagedFields } = decision;
  const shown = (object: object): object => (omitManagedFields ? withoutManagedFields(object) : object);
  const withBodies = level === 'Request' || level === 'RequestResponse';
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
    sourceIPs: source.remoteAddress === '' ? [] : [source.remoteAddress],
    ...(request.headers['user-agent'] === undefined ? {} : { userAgent: request.headers['user-agent'] }),
    ...(info.isResource ? { objectRef: objectOf(request) } : {}),
    ...(code === undefined ? {} : { responseStatus: { metadata: {}, ...failure, code } }),
    ...(withBodies && request.audited?.requestObject !== undefined
      ? { requestObject: shown(request.audited.requestObject) }
      : {}),
    ...(level === 'RequestResponse' && request.audited?.responseObject !== undefined
      ? { responseObject: shown(request.audited.responseObject) }
      : {}),
    requestReceivedTimestamp: rfc3339Micro(request.receivedMs),
    stageTimestamp: rfc3339Micro(nowMs),
    annotations,
  };
}

/** A copy without `metadata.managedFields`, also of a list's items. */
function withoutManagedFields(object: object): object {
  const { items } = object as { items?: unknown };
  return Array.isArray(items) ? { ...object, items: items.map(stripped) } : stripped(object);
}

function stripped(object: object): object {
  const { metadata } = object as { metadata?: object };
  return metadata === undefined ? object : { ...object, metadata: { ...metadata, managedFields: undefined } };
}

function userOf(identity: Identity): object {
  const { user, uid, groups, extra } = identity;
  return { username: user, ...(uid === undefined ? {} : { uid }), groups, ...(extra === undefined ? {} : { extra }) };
}

function objectOf({ info }: ServerRequest): object {
  const { group, version, resource, subresource, namespace, name } = info;
  return {
    resource,
    ...(namespace === '' ? {} : { namespace }),
    ...(name === '' ? {} : { name }),
    ...(group === '' ? {} : { apiGroup: group }),
    apiVersion: version,
    ...(subresource === '' ? {} : { subresource }),
  };
}
