import type { AnyObject, Namespace } from '#api';
import { ApiError, errForbidden, errNotFound } from '#machinery';
import type { AdmissionAttributes, AdmissionPlugin } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';

const immortal: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);
const accessReview = 'localsubjectaccessreviews';

/** Nothing new in a namespace that is not there or is going; the three first namespaces are never deleted. */
export function namespaceLifecycle({ objects }: AdmissionOptions): AdmissionPlugin {
  const view = objects.view('v1', 'namespaces');
  const check = (attributes: AdmissionAttributes, namespace: AnyObject | undefined): void => {
    if (namespace === undefined) throw errNotFound({ group: '', plural: 'namespaces' }, attributes.namespace);
    if (
      attributes.operation === 'CREATE' &&
      ((namespace as unknown as Namespace).status?.phase === 'Terminating' ||
        namespace.metadata.deletionTimestamp !== undefined)
    ) {
      throw terminating(attributes);
    }
  };
  return {
    name: 'NamespaceLifecycle',
    readOnly: true,
    handles: (operation, definition) =>
      operation === 'DELETE'
        ? definition?.resource.plural === 'namespaces' && definition.resource.group === ''
        : definition?.resource.namespaced === true && operation !== 'CONNECT',
    mutate(attributes) {
      if (attributes.operation === 'DELETE') {
        if (!immortal.has(attributes.name)) return undefined;
        throw errForbidden({ group: '', plural: 'namespaces' }, attributes.name, 'this namespace may not be deleted');
      }
      if (attributes.namespace === '' || attributes.resource === accessReview) return undefined;
      const found = view.isReady ? view.get(undefined, attributes.namespace) : undefined;
      if (found !== undefined) return check(attributes, found);
      return view.ready
        .then(() => view.current())
        .then(() => check(attributes, view.get(undefined, attributes.namespace)));
    },
  };
}

function terminating(attributes: AdmissionAttributes): ApiError {
  const { namespace } = attributes;
  const name = attributes.name || attributes.object?.metadata.generateName || 'Unknown';
  const { status } = errForbidden(
    { group: attributes.group, plural: attributes.resource },
    name,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  };
  return new ApiError({ ...status, details: { ...status.details, causes: [cause] } });
}
