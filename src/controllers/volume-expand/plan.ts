import type { PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimCondition } from '#api';
import { compareQuantities } from '#machinery';

export type ClaimStatus = NonNullable<PersistentVolumeClaim['status']>;

const resizing = 'Resizing';
const fileSystemPending = 'FileSystemResizePending';
const controllerError = 'ControllerResizeError';
const own = new Set([resizing, fileSystemPending, controllerError]);

/** What is to be done for a claim that asks for more than it has. */
export type ExpandStep = 'nothing' | 'grow' | 'wait-for-node' | 'finish' | 'give-up';

/** Compares what a bound claim asks for with what its volume and itself have. */
export function planExpand(claim: PersistentVolumeClaim, volume: PersistentVolume): ExpandStep {
  const asked = claim.spec.resources?.requests?.storage;
  const has = claim.status?.capacity?.storage;
  if (asked === undefined || has === undefined) return 'nothing';
  if (compareQuantities(asked, has) <= 0) return isResizing(claim) ? 'give-up' : 'nothing';
  if (compareQuantities(volume.spec.capacity?.storage ?? '0', asked) < 0) return 'grow';
  return claim.status?.allocatedResourceStatuses?.storage === 'NodeResizePending' ? 'wait-for-node' : 'finish';
}

/** Whether a claim's status still speaks of growing. */
export function isResizing({ status }: PersistentVolumeClaim): boolean {
  return (
    status?.allocatedResourceStatuses?.storage !== undefined ||
    (status?.conditions ?? []).some(({ type }) => own.has(type))
  );
}

function others(status: ClaimStatus): PersistentVolumeClaimCondition[] {
  return (status.conditions ?? []).filter(({ type }) => !own.has(type));
}

/** The status while the driver makes the volume larger. A failure stays told while the same is tried again. */
export function growing(status: ClaimStatus, asked: string, now: string): ClaimStatus {
  const failed = status.conditions?.some(({ type }) => type === controllerError);
  if (failed && status.allocatedResources?.storage === asked) return status;
  const since = status.conditions?.find(({ type }) => type === resizing)?.lastTransitionTime ?? now;
  return {
    ...status,
    allocatedResources: { ...status.allocatedResources, storage: asked },
    allocatedResourceStatuses: { ...status.allocatedResourceStatuses, storage: 'ControllerResizeInProgress' },
    conditions: [...others(status), { type: resizing, status: 'True', lastTransitionTime: since }],
  };
}

/** The status when the volume is larger, but its file system is not yet. */
export function waitingForNode(status: ClaimStatus, asked: string, now: string): ClaimStatus {
  const message = 'Waiting for user to (re-)start a pod to finish file system resize of volume on node.';
  return {
    ...status,
    allocatedResources: { ...status.allocatedResources, storage: asked },
    allocatedResourceStatuses: { ...status.allocatedResourceStatuses, storage: 'NodeResizePending' },
    conditions: [...others(status), { type: fileSystemPending, status: 'True', lastTransitionTime: now, message }],
  };
}

/** The status when all is done. */
export function grown(status: ClaimStatus, capacity: string): ClaimStatus {
  const { allocatedResourceStatuses: { storage: _, ...statuses } = {}, ...rest } = status;
  return {
    ...rest,
    capacity: { ...status.capacity, storage: capacity },
    allocatedResources: { ...status.allocatedResources, storage: capacity },
    ...(Object.keys(statuses).length === 0 ? {} : { allocatedResourceStatuses: statuses }),
    conditions: others(status),
  };
}

/** The status after the driver refused. */
export function refused(status: ClaimStatus, failure: { message: string; final: boolean }, now: string): ClaimStatus {
  const told = status.conditions?.find(({ type }) => type === controllerError);
  if (told?.message === failure.message) return status;
  const storage = failure.final ? 'ControllerResizeInfeasible' : 'ControllerResizeInProgress';
  const condition = { type: controllerError, status: 'True', lastTransitionTime: now, message: failure.message };
  return {
    ...status,
    allocatedResourceStatuses: { ...status.allocatedResourceStatuses, storage },
    conditions: [...(status.conditions ?? []).filter(({ type }) => type !== controllerError), condition],
  };
}
