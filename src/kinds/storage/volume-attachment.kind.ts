import { resource, type VolumeAttachment } from '#api';
import { ageColumn, booleanColumn, nameColumn, textColumn } from '../columns.ts';
import { allMetadata, defineKind } from '../definition.ts';
import { validateVolumeAttachment, validateVolumeAttachmentUpdate } from './storage-validation.ts';

export const volumeAttachmentKind = defineKind<VolumeAttachment>({
  resource: resource('storage.k8s.io/v1', 'volumeattachments'),
  storageSegment: 'volumeattachments',
  status: true,
  statusKeeps: allMetadata,
  initialStatus: { attached: false },
  allowUnconditionalUpdate: false,
  validate: validateVolumeAttachment,
  validateUpdate: validateVolumeAttachmentUpdate,
  columns: [
    nameColumn,
    { ...textColumn('Attacher', 'Driver that attaches it.', ({ spec }) => spec?.attacher ?? ''), format: 'name' },
    textColumn('PV', 'Volume that is attached.', ({ spec }) => spec?.source?.persistentVolumeName ?? ''),
    textColumn('Node', 'Node that it is attached to.', ({ spec }) => spec?.nodeName ?? ''),
    booleanColumn('Attached', 'Whether it is attached now.', ({ status }) => status?.attached ?? false),
    ageColumn,
  ],
});
