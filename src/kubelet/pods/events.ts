import type { ObjectReference, Pod } from '#api';
import type { EventRecorder } from '#client';
import type { PodContainer } from './containers.ts';

/** Events about pods and their containers, as users see them in `kubectl describe`. */
export interface PodEvents {
  pod(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string): void;
  container(pod: Pod, container: PodContainer, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

const listNames = { init: 'initContainers', regular: 'containers', ephemeral: 'ephemeralContainers' } as const;

export function openPodEvents(recorder: EventRecorder): PodEvents {
  const reference = (pod: Pod, fieldPath?: string): ObjectReference => ({
    kind: 'Pod',
    apiVersion: 'v1',
    namespace: pod.metadata.namespace,
    name: pod.metadata.name,
    uid: pod.metadata.uid,
    resourceVersion: pod.metadata.resourceVersion,
    ...(fieldPath === undefined ? {} : { fieldPath }),
  });
  return {
    pod: (pod, type, reason, message) => recorder.event(reference(pod), type, reason, message),
    container: (pod, container, type, reason, message) =>
      recorder.event(
        reference(pod, `spec.${listNames[container.kind]}{${container.spec.name}}`),
        type,
        reason,
        message,
      ),
  };
}
