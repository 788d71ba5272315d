import type { Container, EphemeralContainer, HTTPGetAction, LifecycleHandler, Probe, ProbeHandler } from '#api';
import { validatePortName, validatePortNumber } from '#machinery';
import type { Findings } from '../findings.ts';

type AnyContainer = Container | EphemeralContainer;

/** The three probes and the lifecycle of a container that runs beside others. `gracePeriodSeconds` is the pod's. */
export function validateProbesAndLifecycle(
  container: AnyContainer,
  gracePeriodSeconds: number | undefined,
  field: string,
  found: Findings,
): void {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container;
  if (lifecycle != null) {
    validateHandler(lifecycle.postStart, `${field}.lifecycle.postStart`, gracePeriodSeconds, found);
    validateHandler(lifecycle.preStop, `${field}.lifecycle.preStop`, gracePeriodSeconds, found);
  }
  validateProbe(livenessProbe, `${field}.livenessProbe`, found);
  if (livenessProbe != null && livenessProbe.successThreshold !== 1)
    found.invalid(`${field}.livenessProbe.successThreshold`, livenessProbe.successThreshold, 'must be 1');
  validateProbe(readinessProbe, `${field}.readinessProbe`, found);
  if (readinessProbe?.terminationGracePeriodSeconds != null)
    found.invalid(
      `${field}.readinessProbe.terminationGracePeriodSeconds`,
      readinessProbe.terminationGracePeriodSeconds,
      'must not be set for readinessProbes',
    );
  validateProbe(startupProbe, `${field}.startupProbe`, found);
  if (startupProbe != null && startupProbe.successThreshold !== 1)
    found.invalid(`${field}.startupProbe.successThreshold`, startupProbe.successThreshold, 'must be 1');
}

function validateProbe(probe: Probe | undefined, field: string, found: Findings): void {
  if (probe == null) return;
  validateHandler(probe, field, undefined, found);
  found.nonNegative(`${field}.initialDelaySeconds`, probe.initialDelaySeconds);
  found.nonNegative(`${field}.timeoutSeconds`, probe.timeoutSeconds);
  found.nonNegative(`${field}.periodSeconds`, probe.periodSeconds);
  found.nonNegative(`${field}.successThreshold`, probe.successThreshold);
  found.nonNegative(`${field}.failureThreshold`, probe.failureThreshold);
  if (probe.terminationGracePeriodSeconds != null && probe.terminationGracePeriodSeconds <= 0)
    found.invalid(
      `${field}.terminationGracePeriodSeconds`,
      probe.terminationGracePeriodSeconds,
      'must be greater than 0',
    );
}

function validateHandler(
  handler: (ProbeHandler & Pick<LifecycleHandler, 'sleep'>) | undefined,
  field: string,
  gracePeriodSeconds: number | undefined,
  found: Findings,
): void {
  if (handler == null) return;
  let handlers = 0;
  const first = (name: string): boolean => {
    if (++handlers > 1) found.forbidden(`${field}.${name}`, 'may not specify more than 1 handler type');
    return handlers === 1;
  };
  if (handler.exec != null && first('exec') && !handler.exec.command?.length) found.required(`${field}.exec.command`);
  if (handler.httpGet != null && first('httpGet')) validateHttpGet(handler.httpGet, `${field}.httpGet`, found);
  if (handler.tcpSocket != null && first('tcpSocket'))
    validatePort(handler.tcpSocket.port, `${field}.tcpSocket.port`, found);
  if (handler.grpc != null && first('grpc')) validatePort(handler.grpc.port, `${field}.grpc.port`, found);
  if (handler.sleep != null && first('sleep')) {
    const seconds = handler.sleep.seconds ?? 0;
    const most = gracePeriodSeconds ?? 30;
    if (seconds < 0 || seconds > most)
      found.invalid(
        `${field}.sleep`,
        seconds,
        `must be non-negative and less than terminationGracePeriodSeconds (${most})`,
      );
  }
  if (handlers === 0) found.required(field, 'must specify a handler type');
}

const headerName = /^[-A-Za-z0-9]+$/;

function validateHttpGet(action: HTTPGetAction, field: string, found: Findings): void {
  found.present(`${field}.path`, action.path);
  validatePort(action.port, `${field}.port`, found);
  found.presentOneOf(`${field}.scheme`, action.scheme ?? '', ['HTTP', 'HTTPS']);
  for (const header of action.httpHeaders ?? [])
    if (!headerName.test(header.name ?? ''))
      found.invalid(
        `${field}.httpHeaders`,
        header.name ?? '',
        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
      );
}

/** A port by number or by name. */
export function validatePort(port: number | string | undefined, field: string, found: Findings): void {
  if (typeof port === 'string') found.each(field, port, validatePortName(port));
  else found.each(field, port ?? 0, validatePortNumber(port ?? 0));
}
