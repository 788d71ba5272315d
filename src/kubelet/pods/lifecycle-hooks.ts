import { sleep } from '#base';
import type { LifecycleHandler, Pod } from '#api';
import { runHandler } from '../probes/handlers.ts';
import type { PodContainer } from './containers.ts';
import { podKey } from './containers.ts';
import type { PodContext } from './context.ts';

export interface HookInput {
  readonly pod: Pod;
  readonly container: PodContainer;
  readonly containerId: string;
  readonly podIp: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Runs a postStart or preStop hook to its end. Resolves with upstream's message when it failed, undefined when it passed. */
export async function runHook(
  context: PodContext,
  handler: LifecycleHandler,
  input: HookInput,
): Promise<string | undefined> {
  const { cri, clock } = context;
  const { pod, container, containerId, podIp, timeoutMs, signal } = input;
  if (handler.sleep !== undefined) {
    await sleep(clock, Math.min(timeoutMs, handler.sleep.seconds * 1000), signal).catch(() => {});
    return undefined;
  }
  const target = {
    cri,
    clock,
    containerId,
    container: container.spec,
    podIp,
    userAgent: 'kube-lifecycle/1.36',
  } as const;
  const { result, output } = await runHandler(handler, target, timeoutMs);
  if (result === 'success') return undefined;
  const where = `for Container "${container.spec.name}" in Pod "${podKey(pod)}"`;
  if (handler.exec !== undefined) {
    return `Exec lifecycle hook ([${(handler.exec.command ?? []).join(' ')}]) ${where} failed - error: command failed, message: ${JSON.stringify(output)}`;
  }
  if (handler.httpGet !== undefined) {
    return `HTTP lifecycle hook (${handler.httpGet.path ?? '/'}) ${where} failed - error: ${output}`;
  }
  return `TCP lifecycle hook ${where} failed - error: ${output}`;
}
