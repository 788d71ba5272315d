import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AnyObject, builtinResources, type Deployment, type Secret, type StatefulSet, resource } from '#api';
import { type Clock, CodedError, type Random, sleep } from '#base';
import type { Client } from '#client';
import { decodeYamlDocuments } from '#codec';
import { isAlreadyExists } from '#machinery';

const namespace = 'shop';
const manager = 'k8ts-demo';

/** Applies the shop's manifest and makes its Secret (once, of random letters). Safe to repeat. */
export async function applyShop(client: Client, folder: string, random: Random): Promise<void> {
  const documents = decodeYamlDocuments(readFileSync(join(folder, 'shop.yaml'))) as AnyObject[];
  for (const object of documents) {
    const info = builtinResources.find(
      (one) =>
        one.kind === object.kind && object.apiVersion === (one.group ? `${one.group}/${one.version}` : one.version),
    );
    if (info === undefined) throw new CodedError('BadManifest', `shop.yaml has a ${object.apiVersion} ${object.kind}`);
    await client.patch(
      info,
      object.metadata.name,
      { type: 'apply', body: object, force: true },
      { fieldManager: manager, ...(info.namespaced ? { namespace } : {}) },
    );
    if (object.kind === 'Namespace') await makeSecret(client, random);
  }
}

async function makeSecret(client: Client, random: Random): Promise<void> {
  const password = Buffer.from(random.bytes(18)).toString('base64url');
  await client
    .create<Secret>(resource('v1', 'secrets'), {
      metadata: { name: 'shop', namespace },
      stringData: { password },
    } as never)
    .catch((error) => {
      if (!isAlreadyExists(error)) throw error;
    });
}

/** True when every part of the shop has the pods it wants, ready. */
export async function isShopReady(client: Client): Promise<boolean> {
  const [deployments, sets] = await Promise.all([
    client.list<Deployment>(resource('apps/v1', 'deployments'), { namespace }),
    client.list<StatefulSet>(resource('apps/v1', 'statefulsets'), { namespace }),
  ]);
  return (
    deployments.items.length >= 2 &&
    sets.items.length >= 1 &&
    [...deployments.items, ...sets.items].every(
      (one) =>
        one.status?.observedGeneration === one.metadata.generation && one.status?.readyReplicas === one.spec?.replicas,
    )
  );
}

/** Asks the shop through the Ingress of the node at `address` until it answers with its orders; returns how many there are. */
export async function ordersAt(address: string, options: { clock: Clock; deadlineMs: number }): Promise<number> {
  const { clock, deadlineMs } = options;
  let last = 'no answer';
  for (;;) {
    try {
      const response = await fetch(`http://${address}/api/orders`, { signal: AbortSignal.timeout(2000) });
      if (response.ok) return ((await response.json()) as { orders: number }).orders;
      last = `${response.status} ${(await response.text()).slice(0, 200)}`;
    } catch (error) {
      last = (error as Error).message;
    }
    if (clock.monotonicMs() > deadlineMs)
      throw new CodedError('ShopClosed', `the shop does not answer at http://${address}/api/orders: ${last}`);
    await sleep(clock, 100);
  }
}
