import { type Clock, InvariantError, messageOf, processMetrics, type Random } from '#base';
import type { Status } from '#api';
import { decodeJson } from '#codec';
import { statusOf } from '#machinery';
import type { Identity } from '#wire';
import type { Link, ServerRequest, ServerResponse } from '../contract.ts';
import { type AuditOutcome, auditEvent } from './event.ts';
import { type AuditDecision, type AuditPolicy, type AuditStage, decideAudit } from './policy.ts';
import type { AuditSink } from './sink.ts';

export interface AuditOptions {
  readonly policy: AuditPolicy;
  readonly sink: AuditSink;
  readonly clock: Clock;
  readonly random: Random;
}

const idForm = /^[A-Za-z0-9-]{1,64}$/;
const longRunning = new Set(['exec', 'attach', 'portforward', 'proxy', 'log']);
/** Requests that take longer say how long in an annotation, as upstream's. */
const slowMs = 500;
/** A body that is larger is not decoded for its event. */
const largestDecodedBytes = 3 << 20;

const counts = {
  events: processMetrics.counter({ name: 'apiserver_audit_event_total', help: 'Audit events recorded.' }),
  levels: processMetrics.counter({
    name: 'apiserver_audit_level_total',
    help: 'Requests by the level at which the audit policy has them recorded.',
    labels: ['level'],
  }),
};

/**
 * Records what was asked, by whom, found out how, and how it ended. Long-running requests are recorded when their answer begins and
 * when it ends; a bug of this server as the stage Panic.
 */
export function auditLink(options: AuditOptions): Link {
  const { policy, sink, clock, random } = options;
  return async (request, next) => {
    const decision = decideAudit(policy, request);
    const { level } = decision;
    counts.levels.of(level).value++;
    const asked = request.headers['audit-id'];
    const auditId = request.auditId ?? (asked !== undefined && idForm.test(asked) ? asked : random.uuid());
    request.auditId = auditId;
    if (level === 'None') return next(request);
    const withResponse = level === 'RequestResponse';
    if (withResponse || level === 'Request') request.audited ??= { withResponse };
    const recording = { options, request, decision, auditId, caller: request.identity };
    record(recording, 'RequestReceived');
    let response: ServerResponse;
    try {
      response = await next(request);
    } catch (error) {
      const status = statusOf(error);
      noteLatency(request, clock);
      if (isBug(error)) {
        const message = `APIServer panic'd: ${messageOf(error)}`;
        const outcome = { status: 'Failure', message, reason: 'InternalError', code: 500 };
        record(recording, 'Panic', outcome);
      } else record(recording, 'ResponseComplete', outcomeOf(status, status.code ?? 500), status);
      throw error;
    }
    const { stream, takeOver, status: code } = response;
    const long = takeOver !== undefined || request.info.verb === 'watch' || longRunning.has(request.info.subresource);
    const answered = withResponse && !long ? responseObjectOf(request, response) : undefined;
    const outcome = outcomeOf(answered, code);
    if (long) record(recording, 'ResponseStarted', outcome);
    else noteLatency(request, clock);
    const complete = (): void => record(recording, 'ResponseComplete', outcome, answered);
    if (takeOver !== undefined)
      return {
        ...response,
        takeOver(socket, head) {
          socket.once('close', complete);
          takeOver(socket, head);
        },
      };
    if (stream === undefined) {
      complete();
      return response;
    }
    return {
      ...response,
      stream(target) {
        target.onClose(complete);
        stream(target);
      },
    };
  };

  function record(recording: Recording, stage: AuditStage, outcome?: AuditOutcome, responseObject?: object): void {
    const { request, decision, auditId, caller } = recording;
    if (decision.omitStages.includes(stage)) return;
    counts.events.add(1);
    sink.write(
      auditEvent({
        ...{ request, decision, auditId, caller, stage, nowMs: clock.nowMs() },
        ...(outcome === undefined ? {} : { outcome }),
        ...(responseObject === undefined ? {} : { responseObject }),
      }),
    );
  }
}

interface Recording {
  readonly request: ServerRequest;
  readonly decision: AuditDecision;
  readonly auditId: string;
  readonly caller: Identity;
}

const nobody: Identity = { user: '', groups: [] };

/** Records a request that ended before anyone knew who asked; rules that name users or groups do not fit it. */
export function auditRefusal(options: AuditOptions): (request: ServerRequest, error: unknown) => void {
  const { policy, sink, clock, random } = options;
  return (request, error) => {
    const decision = decideAudit(policy, { identity: nobody, info: request.info });
    counts.levels.of(decision.level).value++;
    if (decision.level === 'None' || decision.omitStages.includes('ResponseStarted')) return;
    request.auditId ??= random.uuid();
    const status = statusOf(error);
    counts.events.add(1);
    sink.write(
      auditEvent({
        request,
        decision,
        auditId: request.auditId,
        caller: nobody,
        stage: 'ResponseStarted',
        outcome: { ...outcomeOf(status, status.code ?? 401), message: `Authentication failed${tried(request)}` },
        responseObject: status,
        nowMs: clock.nowMs(),
      }),
    );
  };
}

function tried({ headers, source }: ServerRequest): string {
  const methods = [
    ...(/^basic /i.test(headers.authorization ?? '') ? ['basic'] : []),
    ...(/^bearer /i.test(headers.authorization ?? '') ? ['bearer'] : []),
    ...((source.clientCertificates ?? []).length > 0 ? ['x509'] : []),
  ];
  return methods.length === 0 ? ', no credentials provided' : `, attempted: ${methods.join(', ')}`;
}

/** What a Status says that an event keeps; of anything else only the code. */
function outcomeOf(object: object | undefined, code: number): AuditOutcome {
  if (object === undefined || (object as { kind?: unknown }).kind !== 'Status') return { code };
  const { status, message, reason, details } = object as Status;
  return { status, message, reason, details, code };
}

/** The answered object: told by the verb, else read from the answer. */
function responseObjectOf(request: ServerRequest, { body, object, headers }: ServerResponse): object | undefined {
  const told = request.audited?.responseObject ?? object;
  if (told !== undefined || !request.info.isResource || !(body instanceof Uint8Array)) return told;
  const isJson = headers['content-type'] === 'application/json' && headers['content-encoding'] === undefined;
  if (!isJson || body.length === 0 || body.length > largestDecodedBytes) return undefined;
  try {
    const decoded = decodeJson(body);
    return typeof decoded === 'object' && decoded !== null ? decoded : undefined;
  } catch {
    return undefined;
  }
}

function noteLatency(request: ServerRequest, clock: Clock): void {
  const latencyMs = clock.nowMs() - request.receivedMs;
  if (latencyMs <= slowMs) return;
  const text = latencyMs < 1000 ? `${latencyMs}ms` : `${latencyMs / 1000}s`;
  request.annotations.set('apiserver.latency.k8s.io/total', text);
}

/** Mistakes of the program, which would be a panic upstream. */
function isBug(error: unknown): boolean {
  return [TypeError, ReferenceError, RangeError, SyntaxError, InvariantError].some((kind) => error instanceof kind);
}
