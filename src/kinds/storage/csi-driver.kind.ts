import { type CSIDriver, resource } from '#api';
import { ageColumn, booleanColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateCsiDriver, validateCsiDriverUpdate } from './storage-validation.ts';

export const csiDriverKind = defineKind<CSIDriver>({
  resource: resource('storage.k8s.io/v1', 'csidrivers'),
  storageSegment: 'csidrivers',
  generation: true,
  allowUnconditionalUpdate: false,
  applyDefaults: (draft) => {
    const spec = (draft.spec ??= {});
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
    if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent'];
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
  },
  validate: validateCsiDriver,
  validateUpdate: validateCsiDriverUpdate,
  columns: [
    nameColumn,
    booleanColumn('AttachRequired', 'Whether volumes must be attached.', ({ spec }) => spec?.attachRequired ?? true),
    booleanColumn('PodInfoOnMount', 'Whether it is told about the pod.', ({ spec }) => spec?.podInfoOnMount ?? false),
    booleanColumn('StorageCapacity', 'Whether it reports capacity.', ({ spec }) => spec?.storageCapacity ?? false),
    textColumn('TokenRequests', 'Audiences of the tokens that it gets.', ({ spec }) =>
      spec?.tokenRequests == null ? '<unset>' : spec.tokenRequests.map((one) => one.audience ?? '').join(','),
    ),
    booleanColumn('RequiresRepublish', 'Whether mounts are repeated.', ({ spec }) => spec?.requiresRepublish ?? false),
    textColumn(
      'Modes',
      'Kinds of volume life.',
      ({ spec }) => (spec?.volumeLifecycleModes ?? []).join(',') || '<none>',
    ),
    ageColumn,
  ],
});
