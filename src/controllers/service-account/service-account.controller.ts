import { type Namespace, resource, type ServiceAccount } from '#api';
import { changesOf, type Outcome, startController } from '#client';
import { isAlreadyExists, isNamespaceTerminating } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';

const namespaces = resource('v1', 'namespaces');
const serviceAccounts = resource('v1', 'serviceaccounts');

/** Every namespace that is not being deleted has a ServiceAccount `default`. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const namespaceInformer = informers.of<Namespace>(namespaces);
  const accounts = informers.of<ServiceAccount>(serviceAccounts);

  async function reconcile(name: string): Promise<Outcome> {
    const namespace = namespaceInformer.get(undefined, name);
    if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return;
    if (accounts.get(name, 'default') !== undefined) return;
    try {
      accounts.observe(
        await client.create<ServiceAccount>(serviceAccounts, { metadata: { namespace: name, name: 'default' } }),
      );
    } catch (error) {
      if (!isAlreadyExists(error) && !isNamespaceTerminating(error)) throw error;
    }
  }

  return startController({
    name: 'serviceaccount',
    clock,
    log,
    sources: [
      changesOf(namespaceInformer),
      changesOf(accounts, ({ metadata }, { type }) =>
        type === 'deleted' && metadata.name === 'default' ? metadata.namespace : undefined,
      ),
    ],
    reconcile,
  });
}

export const serviceAccountController = defineController({ name: 'serviceaccount-controller', start });
