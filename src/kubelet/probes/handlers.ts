import type { Clock } from '#base';
import type { Container, EphemeralContainer, HTTPGetAction, LifecycleHandler, ProbeHandler } from '#api';
import type { Cri } from '../cri/contract.ts';
import { CriError } from '../cri/errors.ts';
import { checkGrpc } from './grpc-check.ts';
import { type CheckResult, checkHttp, checkTcp } from './http-check.ts';

export interface CheckTarget {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly containerId: string;
  readonly container: Container | EphemeralContainer;
  readonly podIp: string;
  readonly userAgent: 'kube-probe/1.36' | 'kube-lifecycle/1.36';
}

const longestOutput = 10 << 10;

/** Runs one probe or one lifecycle hook that checks something. Never throws: what goes wrong is the result. */
export async function runHandler(
  handler: ProbeHandler & LifecycleHandler,
  target: CheckTarget,
  timeoutMs: number,
): Promise<CheckResult> {
  const { cri, clock, containerId, container, podIp } = target;
  const limitMs = Math.max(1, Math.ceil(timeoutMs));
  try {
    if (handler.exec !== undefined) return await checkExec(cri, containerId, handler.exec.command ?? [], limitMs);
    if (handler.httpGet !== undefined) return await checkHttp(httpCheck(handler.httpGet, target, limitMs));
    if (handler.tcpSocket !== undefined) {
      const { host, port } = handler.tcpSocket;
      return await checkTcp(host || podIp, portNumber(container, port), limitMs);
    }
    if (handler.grpc !== undefined) {
      const { port, service = '' } = handler.grpc;
      return await checkGrpc(podIp, port, service, { timeoutMs: limitMs, nowMs: clock.nowMs() });
    }
  } catch (error) {
    return { result: 'failure', output: error instanceof Error ? error.message : String(error) };
  }
  return { result: 'success', output: '' };
}

async function checkExec(
  cri: Cri,
  containerId: string,
  command: readonly string[],
  timeoutMs: number,
): Promise<CheckResult> {
  const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
  try {
    const { stdout, stderr, exit_code: code } = await cri.execSync(containerId, command, seconds);
    const output = Buffer.concat([stdout, stderr]).subarray(0, longestOutput).toString('utf8');
    return { result: code === 0 ? 'success' : 'failure', output };
  } catch (error) {
    // grpc's own deadline is later than the command's: it means that the runtime does not answer.
    const late =
      error instanceof CriError &&
      !/^Deadline exceeded after/.test(error.message) &&
      /timeout|DEADLINE/.test(`${error.code} ${error.message}`);
    if (late)
      return { result: 'failure', output: `command timed out: "${command.join(' ')}" timed out after ${seconds}s` };
    // The runtime could not run it at all: that says nothing about the container.
    return { result: 'unknown', output: error instanceof Error ? error.message : String(error) };
  }
}

function httpCheck(action: HTTPGetAction, target: CheckTarget, timeoutMs: number): Parameters<typeof checkHttp>[0] {
  const headers: Record<string, string> = {};
  for (const { name, value } of action.httpHeaders ?? []) headers[name] = value;
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  if (!names.has('user-agent')) headers['User-Agent'] = target.userAgent;
  if (!names.has('accept')) headers.Accept = '*/*';
  const port = portNumber(target.container, action.port);
  const scheme = action.scheme?.toLowerCase() === 'https' ? 'https' : 'http';
  const path = action.path ?? '/';
  return {
    scheme,
    host: action.host || target.podIp,
    port,
    path: path.startsWith('/') ? path : `/${path}`,
    headers,
    timeoutMs,
  };
}

function portNumber(container: Container | EphemeralContainer, port: number | string): number {
  const found =
    typeof port === 'number'
      ? port
      : (container.ports?.find(({ name }) => name === port)?.containerPort ?? Number.parseInt(port, 10));
  if (!(found > 0 && found < 65_536)) throw new RangeError(`invalid port number: ${port}`);
  return found;
}
