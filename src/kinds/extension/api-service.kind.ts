import { type APIService, type APIServiceCondition, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { allMetadata, defineKind } from '../definition.ts';
import { validateApiService, validateApiServiceStatus } from './api-service-validation.ts';
import { pathSegmentName } from '../names.ts';

function availability(service: APIService): string {
  const condition = service.status?.conditions?.find((one) => one.type === 'Available');
  if (condition === undefined) return 'Unknown';
  return condition.status === 'True' ? 'True' : `${condition.status} (${condition.reason ?? ''})`;
}

/** What this server answers itself never waits for another. */
function localIsAvailable(since: string | undefined): APIServiceCondition {
  return {
    type: 'Available',
    status: 'True',
    ...(since === undefined ? {} : { lastTransitionTime: since }),
    reason: 'Local',
    message: 'Local APIServices are always available',
  };
}

export const apiServiceKind = defineKind<APIService>({
  resource: resource('apiregistration.k8s.io/v1', 'apiservices'),
  anyFinalizers: true,
  storageSegment: 'apiregistration.k8s.io/apiservices',
  status: true,
  statusKeeps: allMetadata,
  initialStatus: {},
  applyDefaults: (draft) => {
    if (draft.spec?.service != null) draft.spec.service.port ??= 443;
  },
  prepareForCreate: (draft) => {
    if (draft.spec?.service == null)
      draft.status = { conditions: [localIsAvailable(draft.metadata.creationTimestamp)] };
  },
  allowUnconditionalUpdate: false,
  validateName: pathSegmentName,
  validate: validateApiService,
  validateStatusUpdate: validateApiServiceStatus,
  columns: [
    nameColumn,
    textColumn('Service', 'Service that answers for it.', ({ spec }) =>
      spec?.service == null ? 'Local' : `${spec.service.namespace ?? ''}/${spec.service.name ?? ''}`,
    ),
    textColumn('Available', 'Whether it answers.', availability),
    ageColumn,
  ],
});
