import type { KubeObject, LabelSelector } from '#api';
import { labelSelectorOf } from '#machinery';
import type { TypedScale } from './definition.ts';

interface Scalable extends KubeObject {
  spec?: { replicas?: number; selector?: LabelSelector };
  status?: { replicas?: number };
}

/** `/scale` of Deployment, ReplicaSet and StatefulSet. */
export const workloadScale: TypedScale<Scalable> = {
  replicas: (object) => object.spec?.replicas ?? 0,
  setReplicas: (draft, replicas) => {
    draft.spec = { ...draft.spec, replicas };
  },
  statusReplicas: (object) => object.status?.replicas ?? 0,
  selector: (object) => labelSelectorOf(object.spec?.selector).toString(),
};
