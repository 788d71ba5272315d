import { messageOf } from '#base';
import { ApiError, apiErrorFromStatus } from '#machinery';
import type { ServerObjects } from '../contract.ts';
import type { ResourceContext } from '../resources/context.ts';

const firstNamespaces = ['kube-system', 'default', 'kube-public', 'kube-node-lease'];

/** The objects that every cluster has from the start. */
export async function bootstrapObjects(options: {
  readonly context: ResourceContext;
  readonly objects: ServerObjects;
  readonly policy: readonly object[];
}): Promise<void> {
  const { context, objects } = options;
  const transport = objects.transport();
  const namespaces = objects.view('v1', 'namespaces');
  await namespaces.ready;
  const make = async (name: string): Promise<void> => {
    if (namespaces.get(undefined, name) !== undefined) return;
    const response = await transport.request({
      method: 'POST',
      target: '/api/v1/namespaces',
      objectBody: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
      objects: true,
    });
    if (response.status === 201 || response.status === 409) return;
    throw apiErrorFromStatus(response.object as ConstructorParameters<typeof ApiError>[0]);
  };
  await Promise.all(firstNamespaces.map(make)).catch((error: unknown) => {
    context.log.error({ error: messageOf(error) }, 'the first namespaces could not be made');
    throw error;
  });
}
