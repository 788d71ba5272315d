import { type PriorityLevelConfiguration, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { allMetadata, defineKind } from '../definition.ts';
import { validatePriorityLevel } from './flowcontrol-validation.ts';

const queuing = (level: PriorityLevelConfiguration) => level.spec?.limited?.limitResponse?.queuing;

function shares({ spec }: PriorityLevelConfiguration): number | string {
  return spec?.limited?.nominalConcurrencyShares ?? '<none>';
}

export const priorityLevelConfigurationKind = defineKind<PriorityLevelConfiguration>({
  resource: resource('flowcontrol.apiserver.k8s.io/v1', 'prioritylevelconfigurations'),
  storageSegment: 'prioritylevelconfigurations',
  status: true,
  statusKeeps: allMetadata,
  initialStatus: {},
  generation: true,
  applyDefaults: (draft) => {
    const { exempt, limited } = draft.spec ?? {};
    if (exempt != null) {
      exempt.nominalConcurrencyShares ??= 0;
      exempt.lendablePercent ??= 0;
    }
    if (limited == null) return;
    limited.nominalConcurrencyShares ??= 30;
    limited.lendablePercent ??= 0;
    const queuing = limited.limitResponse?.queuing;
    if (queuing == null) return;
    if (!queuing.queues) queuing.queues = 64;
    if (!queuing.handSize) queuing.handSize = 8;
    if (!queuing.queueLengthLimit) queuing.queueLengthLimit = 50;
  },
  validate: validatePriorityLevel,
  columns: [
    nameColumn,
    textColumn('Type', 'Limited or Exempt.', ({ spec }) => spec?.type ?? ''),
    textColumn('NominalConcurrencyShares', 'Its part of all seats.', shares),
    textColumn('Queues', 'Number of queues.', (level) => queuing(level)?.queues ?? '<none>'),
    textColumn('HandSize', 'Queues that one flow may use.', (level) => queuing(level)?.handSize ?? '<none>'),
    textColumn(
      'QueueLengthLimit',
      'Requests that one queue holds.',
      (level) => queuing(level)?.queueLengthLimit ?? '<none>',
    ),
    ageColumn,
  ],
});
