/** Labels and annotations that tie sandboxes and containers to their pods: what a restarted kubelet finds them by. */
export const podNameLabel = 'io.kubernetes.pod.name';
export const podNamespaceLabel = 'io.kubernetes.pod.namespace';
export const podUidLabel = 'io.kubernetes.pod.uid';
export const containerNameLabel = 'io.kubernetes.container.name';
export const containerHashAnnotation = 'io.kubernetes.container.hash';
export const restartCountAnnotation = 'io.kubernetes.container.restartCount';
export const terminationMessagePathAnnotation = 'io.kubernetes.container.terminationMessagePath';
export const terminationMessagePolicyAnnotation = 'io.kubernetes.container.terminationMessagePolicy';
export const containerPortsAnnotation = 'io.kubernetes.container.ports';
export const preStopHandlerAnnotation = 'io.kubernetes.container.preStopHandler';
export const gracePeriodAnnotation = 'io.kubernetes.pod.terminationGracePeriod';
export const configSeenAnnotation = 'kubernetes.io/config.seen';
export const configSourceAnnotation = 'kubernetes.io/config.source';
