import { type FlowSchema, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { allMetadata, defineKind } from '../definition.ts';
import { validateFlowSchema } from './flowcontrol-validation.ts';

export const flowSchemaKind = defineKind<FlowSchema>({
  resource: resource('flowcontrol.apiserver.k8s.io/v1', 'flowschemas'),
  storageSegment: 'flowschemas',
  status: true,
  statusKeeps: allMetadata,
  initialStatus: {},
  generation: true,
  applyDefaults: (draft) => {
    if (draft.spec != null && !draft.spec.matchingPrecedence) draft.spec.matchingPrecedence = 1000;
  },
  validate: validateFlowSchema,
  columns: [
    nameColumn,
    textColumn(
      'PriorityLevel',
      'Priority level of its requests.',
      ({ spec }) => spec?.priorityLevelConfiguration?.name ?? '',
    ),
    textColumn('MatchingPrecedence', 'Lower is tried first.', ({ spec }) => spec?.matchingPrecedence ?? 0),
    textColumn(
      'DistinguisherMethod',
      'How flows are told apart.',
      ({ spec }) => spec?.distinguisherMethod?.type ?? '<none>',
    ),
    ageColumn,
    textColumn(
      'MissingPL',
      'Whether its priority level is missing.',
      ({ status }) => status?.conditions?.find((one) => one.type === 'Dangling')?.status ?? '?',
    ),
  ],
});
