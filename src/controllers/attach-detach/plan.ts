import { createHash } from 'node:crypto';
import type { Node, PersistentVolume, Pod, VolumeAttachment } from '#api';
import { nodeTaints } from '#kinds';

/** How long a node that does not answer keeps its volumes from others. */
export const patienceMs = 6 * 60_000;
const outOfService = 'node.kubernetes.io/out-of-service';

export interface AttachPlan {
  /** Nodes to attach the volume to. */
  readonly attach: readonly string[];
  readonly detach: readonly VolumeAttachment[];
  /** Pods that wait because the volume is attached elsewhere and may be on one node only. */
  readonly blocked: readonly { readonly pod: Pod; readonly elsewhere: string }[];
  /** Something is waited for that no event may tell. */
  readonly lookAgain: boolean;
}

export interface AttachFacts {
  readonly volume: PersistentVolume;
  /** Pods with a node that use the volume's claim and have not ended. */
  readonly pods: readonly Pod[];
  readonly attachments: readonly VolumeAttachment[];
  readonly node: (name: string) => Node | undefined;
  readonly isReady: (node: Node) => boolean;
  /** For how long a volume has been wanted on a node no more, by node. */
  readonly unwantedMs: (nodeName: string) => number;
}

/** What a volume needs: attached where pods use it, detached where no pod does and the kubelet has let go of it. */
export function planAttachments(facts: AttachFacts): AttachPlan {
  const { volume, pods, attachments, node } = facts;
  const wanted = new Map<string, Pod>();
  for (const pod of pods) if (pod.spec.nodeName) wanted.set(pod.spec.nodeName, wanted.get(pod.spec.nodeName) ?? pod);
  const unique = `kubernetes.io/csi/${volume.spec.csi?.driver}^${volume.spec.csi?.volumeHandle}`;
  const detach: VolumeAttachment[] = [];
  let lookAgain = false;
  for (const one of attachments) {
    const { nodeName } = one.spec;
    if (wanted.has(nodeName) || one.metadata.deletionTimestamp !== undefined) continue;
    const holder = node(nodeName);
    const inUse = holder?.status?.volumesInUse?.includes(unique) === true;
    const forced =
      holder === undefined ||
      nodeTaints(holder).some(({ key }) => key === outOfService) ||
      (!facts.isReady(holder) && facts.unwantedMs(nodeName) >= patienceMs);
    if (forced || (!inUse && facts.isReady(holder))) detach.push(one);
    else lookAgain = true;
  }
  const many = (volume.spec.accessModes ?? []).some((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany');
  const held = new Set(attachments.map(({ spec }) => spec.nodeName));
  const attach: string[] = [];
  const blocked: { pod: Pod; elsewhere: string }[] = [];
  for (const [nodeName, pod] of wanted) {
    if (held.has(nodeName) || node(nodeName) === undefined) continue;
    const elsewhere = many ? undefined : [...held].find((one) => one !== nodeName);
    if (elsewhere !== undefined) {
      blocked.push({ pod, elsewhere });
      lookAgain = true;
      continue;
    }
    attach.push(nodeName);
    held.add(nodeName);
  }
  return { attach, detach, blocked, lookAgain };
}

/** Kubelets find the attachment of a volume on their node by this name alone. */
export function attachmentName(handle: string, driver: string, nodeName: string): string {
  return `csi-${createHash('sha256').update(`${handle}${driver}${nodeName}`).digest('hex')}`;
}
