import type { KeyObject } from 'node:crypto';
import { type Secret, resource, type ServiceAccount } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { isNotFound } from '#machinery';
import { signSecretToken } from '#pki';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';

const secrets = resource('v1', 'secrets');
const tokenType = 'kubernetes.io/service-account-token';
const nameAnnotation = 'kubernetes.io/service-account.name';
const uidAnnotation = 'kubernetes.io/service-account.uid';

/**
 * Fills Secrets of type kubernetes.io/service-account-token with a token of the ServiceAccount that they name, and removes those whose
 * ServiceAccount is gone or is another one of the same name.
 */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log, settings } = context;
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
    if (live !== undefined && (!wantedUid || live.metadata.uid === wantedUid)) return fill(secret, live);
    await client
      .delete(secrets, name, { namespace: namespace as string, preconditions: { uid: secret.metadata.uid } })
      .catch((error) => {
        if (!isNotFound(error)) throw error;
      });
  }

  async function fill(secret: Secret, account: ServiceAccount): Promise<void> {
    const full = filledSecret(secret, { account, rootCa: settings.rootCa, key: settings.serviceAccountKey?.() });
    if (full !== secret) await client.update(secrets, full);
  }

  return startController({
    name: 'service-account-tokens',
    queueName: 'serviceaccount_tokens_secret',
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

/** The Secret with all that it should hold; itself when it does. What is there of a token stays. */
function filledSecret(
  secret: Secret,
  from: {
    readonly account: ServiceAccount;
    readonly rootCa: string | undefined;
    readonly key: KeyObject | undefined;
  },
): Secret {
  const { name, namespace = '', annotations } = secret.metadata;
  const { name: accountName, uid } = from.account.metadata;
  const data: Record<string, string> = { ...secret.data };
  const put = (key: string, text: string): void => {
    data[key] = Buffer.from(text).toString('base64');
  };
  if (from.rootCa !== undefined) put('ca.crt', from.rootCa);
  if (!data.namespace) put('namespace', namespace);
  if (!data.token && from.key !== undefined) {
    const serviceAccount = { name: accountName, uid };
    put('token', signSecretToken(from.key, { namespace, secretName: name, serviceAccount }));
  }
  const isFull =
    annotations?.[uidAnnotation] === uid &&
    Object.keys(data).every((key) => data[key] === (secret.data as Record<string, string> | undefined)?.[key]);
  if (isFull) return secret;
  const named = { ...annotations, [nameAnnotation]: accountName, [uidAnnotation]: uid };
  return { ...secret, metadata: { ...secret.metadata, annotations: named }, data };
}

function accountOf({ metadata, type }: Secret): string[] {
  const name = metadata.annotations?.[nameAnnotation];
  return type === tokenType && name !== undefined ? [`${metadata.namespace}/${name}`] : [];
}

export const serviceAccountTokensController = defineController({ name: 'serviceaccount-token-controller', start });
