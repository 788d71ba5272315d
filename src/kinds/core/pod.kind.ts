import { type Pod, resource } from '#api';
import { defineKind } from '../definition.ts';
import { connectVerbs, proxySubresource, readWriteVerbs } from '../verbs.ts';
import { podColumns } from './pod-columns.ts';
import { applyPodDefaults } from './pod-defaults.ts';
import { isPodTerminal } from './pod-facts.ts';
import { podQosClass } from './pod-resources.ts';
import { validatePod } from './pod-validation.ts';
import { validatePodStatusUpdate, validatePodUpdate } from './pod-update.ts';

const core = (kind: string) => ({ group: '', version: 'v1', kind });

/** The single address and the first of the list are one: the single one wins. */
function alignAddresses({ status }: Pod): void {
  if (status == null) return;
  if (status.podIP) {
    if (status.podIPs?.[0]?.ip !== status.podIP) status.podIPs = [{ ip: status.podIP }];
  } else if (status.podIPs?.[0]?.ip) status.podIP = status.podIPs[0].ip;
}

/** Asked for, else as the spec says; nothing to wait for when the pod never reached a node or has ended. Negative means one second. */
function podGracePeriodSeconds(pod: Pod, asked: number | undefined): number {
  const seconds = asked ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
  if (!pod.spec?.nodeName || isPodTerminal(pod)) return 0;
  return seconds < 0 ? 1 : seconds;
}

export const podKind = defineKind<Pod>({
  resource: resource('v1', 'pods'),
  status: true,
  statusKeeps: ['ownerReferences'],
  generation: true,
  subresources: [
    { name: 'attach', verbs: connectVerbs, kind: core('PodAttachOptions') },
    { name: 'binding', verbs: ['create'], kind: core('Binding') },
    { name: 'ephemeralcontainers', verbs: readWriteVerbs },
    { name: 'eviction', verbs: ['create'], kind: { group: 'policy', version: 'v1', kind: 'Eviction' } },
    { name: 'exec', verbs: connectVerbs, kind: core('PodExecOptions') },
    { name: 'log', verbs: ['get'] },
    { name: 'portforward', verbs: connectVerbs, kind: core('PodPortForwardOptions') },
    proxySubresource('PodProxyOptions'),
    { name: 'resize', verbs: readWriteVerbs },
  ],
  applyDefaults: applyPodDefaults,
  prepareForCreate: (draft) => {
    draft.status = { phase: 'Pending', qosClass: podQosClass(draft) };
  },
  prepareForStatusUpdate: alignAddresses,
  gracePeriodSeconds: podGracePeriodSeconds,
  validate: validatePod,
  validateUpdate: validatePodUpdate,
  validateStatusUpdate: validatePodStatusUpdate,
  columns: podColumns,
  fieldSelectors: {
    'spec.nodeName': (pod) => pod.spec?.nodeName ?? '',
    'spec.restartPolicy': (pod) => pod.spec?.restartPolicy ?? '',
    'spec.schedulerName': (pod) => pod.spec?.schedulerName ?? '',
    'spec.serviceAccountName': (pod) => pod.spec?.serviceAccountName ?? '',
    'spec.hostNetwork': (pod) => String(pod.spec?.hostNetwork ?? false),
    'status.phase': (pod) => pod.status?.phase ?? '',
    'status.podIP': (pod) => pod.status?.podIP ?? '',
    'status.podIPs': (pod) => pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP ?? '',
    'status.nominatedNodeName': (pod) => pod.status?.nominatedNodeName ?? '',
  },
});
