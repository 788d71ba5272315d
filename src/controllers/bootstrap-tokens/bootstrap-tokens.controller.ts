import { createHmac } from 'node:crypto';
import { type ConfigMap, resource, type Secret } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { deepEqual, isNotFound, parseTimeMs } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';

const secrets = resource('v1', 'secrets');
const configMaps = resource('v1', 'configmaps');
const tokenType = 'bootstrap.kubernetes.io/token';
const prefix = 'jws-kubeconfig-';

const textOf = ({ data }: Secret, key: string): string => Buffer.from(data?.[key] ?? '', 'base64').toString('utf8');

function expiresInMs(secret: Secret, nowMs: number): number | undefined {
  const text = textOf(secret, 'expiration');
  return text === '' ? undefined : parseTimeMs(text) - nowMs;
}

/** A detached JWS (HS256) over the content, as joining machines check it. */
export function signDetached(content: string, tokenId: string, tokenSecret: string): string {
  const encode = (text: string): string => Buffer.from(text).toString('base64url');
  const header = encode(JSON.stringify({ alg: 'HS256', kid: tokenId }));
  const signature = createHmac('sha256', tokenSecret)
    .update(`${header}.${encode(content)}`)
    .digest('base64url');
  return `${header}..${signature}`;
}

/** Signs `cluster-info` with every bootstrap token that may sign. */
function startSigning(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const tokens = informers.of<Secret>(secrets);
  const maps = informers.of<ConfigMap>(configMaps, {
    namespace: 'kube-public',
    fieldSelector: 'metadata.name=cluster-info',
  });
  const key = 'kube-public/cluster-info';

  async function reconcile(): Promise<Outcome> {
    const map = maps.get('kube-public', 'cluster-info');
    const content = map?.data?.kubeconfig;
    if (map === undefined || content === undefined) return;
    const data: Record<string, string> = {};
    for (const [name, value] of Object.entries(map.data ?? {})) if (!name.startsWith(prefix)) data[name] = value;
    for (const secret of tokens.list('kube-system')) {
      const left = expiresInMs(secret, clock.nowMs());
      const usable =
        secret.type === tokenType &&
        textOf(secret, 'usage-bootstrap-signing') === 'true' &&
        (left === undefined || left > 0);
      const id = textOf(secret, 'token-id');
      if (usable && id !== '') data[`${prefix}${id}`] = signDetached(content, id, textOf(secret, 'token-secret'));
    }
    if (!deepEqual(data, map.data)) maps.observe(await client.update<ConfigMap>(configMaps, { ...map, data }));
  }

  return startController({
    name: 'bootstrap-signer',
    queueName: 'bootstrap_signer_queue',
    clock,
    log,
    sources: [
      changesOf(tokens, (secret) =>
        secret.type === tokenType && secret.metadata.namespace === 'kube-system' ? key : undefined,
      ),
      changesOf(maps, () => key),
    ],
    reconcile,
  });
}

/** Removes bootstrap tokens that have expired. */
function startCleaning(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const tokens = informers.of<Secret>(secrets);

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const secret = tokens.get(namespace, name);
    const leftMs = secret === undefined ? undefined : expiresInMs(secret, clock.nowMs());
    if (secret === undefined || leftMs === undefined) return;
    if (leftMs > 0) return { requeueAfterMs: leftMs };
    await client
      .delete(secrets, name, { namespace: namespace as string, preconditions: { uid: secret.metadata.uid } })
      .catch((error) => {
        if (!isNotFound(error)) throw error;
      });
  }

  return startController({
    name: 'token-cleaner',
    queueName: 'token_cleaner',
    clock,
    log,
    sources: [
      changesOf(tokens, (secret) =>
        secret.type === tokenType && secret.metadata.namespace === 'kube-system' ? keyOf(secret) : undefined,
      ),
    ],
    reconcile,
  });
}

export const bootstrapSignerController = defineController({ name: 'bootstrap-signer-controller', start: startSigning });
export const tokenCleanerController = defineController({ name: 'token-cleaner-controller', start: startCleaning });
