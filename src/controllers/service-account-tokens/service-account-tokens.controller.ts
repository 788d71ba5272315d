import { type Secret, resource, type ServiceAccount } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';

const secrets = resource('v1', 'secrets');
const tokenType = 'kubernetes.io/service-account-token';
const nameAnnotation = 'kubernetes.io/service-account.name';
const uidAnnotation = 'kubernetes.io/service-account.uid';

/** Removes token Secrets whose ServiceAccount is gone or is another one of the same name. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const accounts = informers.of<ServiceAccount>(resource('v1', 'serviceaccounts'));
  const informer = informers.of<Secret>(secrets, { indexes: { 'token-account': accountOf } });

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const secret = informer.get(namespace, name);
    const account = secret === undefined ? undefined : secret.metadata.annotations?.[nameAnnotation];
    if (secret?.type !== tokenType || account === undefined) return;
    const wantedUid = secret.metadata.annotations?.[uidAnnotation];
    const live = await client
      .get<ServiceAccount>(resource('v1', 'serviceaccounts'), account, { namespace: namespace as string })
      .catch((error) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
    if (live !== undefined && (wantedUid === undefined || live.metadata.uid === wantedUid)) return;
    await client
      .delete(secrets, name, { namespace: namespace as string, preconditions: { uid: secret.metadata.uid } })
      .catch((error) => {
        if (!isNotFound(error)) throw error;
      });
  }

  return startController({
    name: 'service-account-tokens',
    clock,
    log,
    needs: [accounts.synced],
    sources: [
      changesOf(informer, (secret, { type }) =>
        type !== 'deleted' && secret.type === tokenType ? keyOf(secret) : undefined,
      ),
      changesOf(accounts, (account, { type }) =>
        type === 'deleted' ? informer.byIndex('token-account', keyOf(account)).map(keyOf) : undefined,
      ),
    ],
    reconcile,
  });
}

function accountOf({ metadata, type }: Secret): string[] {
  const name = metadata.annotations?.[nameAnnotation];
  return type === tokenType && name !== undefined ? [`${metadata.namespace}/${name}`] : [];
}

export const serviceAccountTokensController = defineController({ name: 'serviceaccount-token-controller', start });
