import { messageOf } from '#base';
import { apiVersionOf } from '#api';
import { type PolicyObject, reconcilePolicyObject } from '../authz/index.ts';
import type { ServerObjects } from '../contract.ts';
import type { ResourceContext } from '../resources/context.ts';
import { put } from './put.ts';

const firstNamespaces = ['kube-system', 'default', 'kube-public', 'kube-node-lease'];

/** The objects that every cluster has from the start: the first namespaces, then roles and bindings. */
export async function bootstrapObjects(options: {
  readonly context: ResourceContext;
  readonly objects: ServerObjects;
  readonly policy: readonly PolicyObject[];
}): Promise<void> {
  const { context, objects, policy } = options;
  const transport = objects.transport();
  try {
    const namespaces = objects.view('v1', 'namespaces');
    await namespaces.ready;
    await Promise.all(
      firstNamespaces
        .filter((name) => namespaces.get(undefined, name) === undefined)
        .map((name) =>
          put(
            transport,
            '/api/v1/namespaces',
            { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } as object as Named,
            false,
          ),
        ),
    );
    await Promise.all(policy.map((wanted) => reconcile(context, objects, wanted)));
  } catch (error) {
    context.log.error({ error: messageOf(error) }, 'the first objects could not be made');
    throw error;
  }
}

interface Named {
  readonly metadata: { readonly name?: string };
}

async function reconcile(context: ResourceContext, objects: ServerObjects, wanted: PolicyObject): Promise<void> {
  const definition = context.registry.catalogue
    .all()
    .find(({ resource }) => resource.kind === wanted.kind && apiVersionOf(resource) === wanted.apiVersion);
  if (definition === undefined) return;
  const { plural } = definition.resource;
  const { name, namespace } = wanted.metadata;
  const view = objects.view(wanted.apiVersion, plural);
  await view.ready;
  const stored = view.get(namespace, name);
  const collection = `/apis/${wanted.apiVersion}/${namespace === undefined ? '' : `namespaces/${namespace}/`}${plural}`;
  if (stored === undefined) return put(objects.transport(), collection, wanted, false);
  const merged = reconcilePolicyObject(stored as unknown as PolicyObject, wanted);
  if (merged !== undefined) await put(objects.transport(), collection, merged, true);
}
