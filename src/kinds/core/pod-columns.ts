import type { Container, ContainerStatus, Pod } from '#api';
import { humanDuration, parseTimeMs } from '#machinery';
import { ageColumn, nameColumn, textColumn, wide } from '../columns.ts';
import type { TypedColumn } from '../definition.ts';
import { isPodTerminal, isRestartableInit, podCondition } from './pod-facts.ts';

interface PodSummary {
  readonly reason: string;
  readonly ready: number;
  readonly total: number;
  readonly restarts: number;
  readonly lastRestartMs: number;
}

class RestartCount {
  count = 0;
  lastMs = 0;

  add(status: ContainerStatus): void {
    this.count += status.restartCount ?? 0;
    const finished = status.lastState?.terminated?.finishedAt;
    if (finished) this.lastMs = Math.max(this.lastMs, parseTimeMs(finished));
  }
}

/** Everything that the columns Ready, Status and Restarts say, from one walk over the containers' statuses. */
function summarize(pod: Pod): PodSummary {
  const initContainers = pod.spec?.initContainers ?? [];
  const byName = new Map(initContainers.map((one) => [one.name, one]));
  const total = (pod.spec?.containers ?? []).length + initContainers.filter(isRestartableInit).length;
  const init = summarizeInit(pod, byName, initContainers.length);
  let reason = init.reason ?? phaseReason(pod);
  let ready = init.ready;
  let restarts = init.restarts;
  if (init.reason === undefined || podCondition(pod, 'Initialized')?.status === 'True') {
    restarts = init.sidecarRestarts;
    let running = false;
    for (const status of (pod.status?.containerStatuses ?? []).toReversed()) {
      restarts.add(status);
      const stopped = stoppedReason(status);
      if (stopped !== undefined) reason = stopped;
      else if (status.ready && status.state?.running != null) {
        running = true;
        ready++;
      }
    }
    if (reason === 'Completed' && running)
      reason = podCondition(pod, 'Ready')?.status === 'True' ? 'Running' : 'NotReady';
  }
  return {
    reason: deletionReason(pod) ?? reason,
    ready,
    total,
    restarts: restarts.count,
    lastRestartMs: restarts.lastMs,
  };
}

function summarizeInit(pod: Pod, byName: ReadonlyMap<string, Container>, containers: number) {
  const restarts = new RestartCount();
  const sidecarRestarts = new RestartCount();
  let ready = 0;
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    restarts.add(status);
    const container = byName.get(status.name);
    const sidecar = container !== undefined && isRestartableInit(container);
    if (sidecar) sidecarRestarts.add(status);
    if (status.state?.terminated?.exitCode === 0) continue;
    if (sidecar && status.started) {
      if (status.ready) ready++;
      continue;
    }
    return { restarts, sidecarRestarts, ready, reason: initReason(status, index, containers) };
  }
  return { restarts, sidecarRestarts, ready, reason: undefined };
}

function initReason({ state }: ContainerStatus, index: number, containers: number): string {
  if (state?.terminated != null) return `Init:${state.terminated.reason || exitText(state.terminated)}`;
  const waiting = state?.waiting?.reason;
  return waiting && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${index}/${containers}`;
}

function stoppedReason({ state }: ContainerStatus): string | undefined {
  if (state?.waiting?.reason) return state.waiting.reason;
  return state?.terminated == null ? undefined : state.terminated.reason || exitText(state.terminated);
}

function exitText(terminated: { signal?: number; exitCode: number }): string {
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode ?? 0}`;
}

function phaseReason(pod: Pod): string {
  const scheduled = podCondition(pod, 'PodScheduled');
  if (scheduled?.reason === 'SchedulingGated') return 'SchedulingGated';
  return pod.status?.reason || (pod.status?.phase ?? '');
}

function deletionReason(pod: Pod): string | undefined {
  if (!pod.metadata.deletionTimestamp) return undefined;
  if (pod.status?.reason === 'NodeLost') return 'Unknown';
  return isPodTerminal(pod) ? undefined : 'Terminating';
}

function restartsText(summary: PodSummary, nowMs: number): string {
  const { restarts, lastRestartMs } = summary;
  return restarts === 0 || lastRestartMs === 0
    ? String(restarts)
    : `${restarts} (${humanDuration(nowMs - lastRestartMs)} ago)`;
}

function readinessGatesText(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const passed = gates.filter((gate) => podCondition(pod, gate.conditionType)?.status === 'True').length;
  return `${passed}/${gates.length}`;
}

/** The table of pods. Ready, Status and Restarts come from one summary, remembered for the row. */
export const podColumns: readonly TypedColumn<Pod>[] = [
  nameColumn,
  textColumn('Ready', 'Containers that are ready for traffic, of all.', (pod) => {
    const summary = summaryOf(pod);
    return `${summary.ready}/${summary.total}`;
  }),
  textColumn('Status', 'State of the containers in one word.', (pod) => summaryOf(pod).reason),
  textColumn('Restarts', 'How often containers were restarted, and when last.', (pod, { nowMs }) =>
    restartsText(summaryOf(pod), nowMs),
  ),
  ageColumn,
  wide(textColumn('IP', 'Address of the pod.', (pod) => pod.status?.podIPs?.[0]?.ip || '<none>')),
  wide(textColumn('Node', 'Node on which it runs.', (pod) => pod.spec?.nodeName || '<none>')),
  wide(
    textColumn('Nominated Node', 'Node on which preemption makes room for it.', (pod) =>
      pod.status?.nominatedNodeName ? pod.status.nominatedNodeName : '<none>',
    ),
  ),
  wide(textColumn('Readiness Gates', 'Readiness gates that are open, of all.', readinessGatesText)),
];

const summaries = new WeakMap<Pod, PodSummary>();

function summaryOf(pod: Pod): PodSummary {
  if (!Object.isFrozen(pod)) return summarize(pod);
  let summary = summaries.get(pod);
  if (summary === undefined) summaries.set(pod, (summary = summarize(pod)));
  return summary;
}
