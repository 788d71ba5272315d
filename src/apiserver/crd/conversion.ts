import type { AnyObject, CustomResourceDefinition } from '#api';
import { messageOf, type Random } from '#base';
import { decodeJson, encodeJson } from '#codec';
import { errInternal } from '#machinery';
import type { ServerObjects } from '../contract.ts';
import { serviceEndpoint } from '../streams/service-endpoint.ts';

type Convert = (objects: readonly AnyObject[], apiVersion: string) => Promise<readonly AnyObject[]>;

const timeoutSeconds = 30;

/** Has the definition's webhook convert objects between its versions; undefined when versions differ in apiVersion alone. */
export function conversionOf(
  crd: CustomResourceDefinition,
  parts: { readonly objects: ServerObjects; readonly random: Random },
): Convert | undefined {
  const { conversion } = crd.spec;
  if (conversion?.strategy !== 'Webhook' || conversion.webhook?.clientConfig === undefined) return undefined;
  const { clientConfig } = conversion.webhook;
  const webhook = {
    configuration: '',
    name: crd.metadata.name,
    clientConfig: {
      ...(clientConfig.url === undefined ? {} : { url: clientConfig.url }),
      ...(clientConfig.service === undefined ? {} : { service: clientConfig.service }),
      ...(clientConfig.caBundle === undefined ? {} : { caBundle: clientConfig.caBundle }),
    },
    rules: [],
    failurePolicy: 'Fail',
    timeoutSeconds,
    sideEffects: 'None',
  };
  return async (objects, apiVersion) => {
    const fail = (why: string): Error =>
      errInternal(`conversion webhook for ${crd.spec.names.kind}.${crd.spec.group} failed: ${why}`);
    const others = objects.filter((one) => one.apiVersion !== apiVersion);
    if (others.length === 0) return objects;
    const uid = parts.random.uuid();
    const review = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'ConversionReview',
      request: { uid, desiredAPIVersion: apiVersion, objects: others },
    };
    const { callWebhook } = await import('../admission/webhook/webhook-client.ts');
    let answer: unknown;
    try {
      const resolve = (service: { namespace: string; name: string; port: number }) => serviceEndpoint(parts, service);
      answer = await callWebhook(webhook as never, Buffer.from(encodeJson(review)).toString(), resolve);
    } catch (error) {
      throw fail(messageOf(error));
    }
    const { response } = (answer ?? {}) as {
      response?: { uid?: string; result?: { status?: string; message?: string }; convertedObjects?: AnyObject[] };
    };
    if (response?.uid !== uid) throw fail('the answer is to another question');
    if (response.result?.status !== 'Success') throw fail(response.result?.message ?? 'it gave no reason');
    const converted = response.convertedObjects ?? [];
    if (converted.length !== others.length)
      throw fail(`it returned ${converted.length} objects, expected ${others.length}`);
    const byPlace = new Map<AnyObject, AnyObject>();
    for (const [index, one] of others.entries()) {
      const made = decodeJson(encodeJson(converted[index])) as AnyObject;
      if (made.apiVersion !== apiVersion || made.kind !== one.kind)
        throw fail(`it returned an object of ${made.apiVersion} ${made.kind}`);
      if (made.metadata?.name !== one.metadata.name || made.metadata?.uid !== one.metadata.uid)
        throw fail('it changed the object’s identity');
      // Of metadata only labels and annotations are the webhook's to change.
      const { labels, annotations } = made.metadata;
      const metadata = { ...one.metadata, labels, annotations };
      if (labels === undefined) delete metadata.labels;
      if (annotations === undefined) delete metadata.annotations;
      byPlace.set(one, { ...made, metadata });
    }
    return objects.map((one) => byPlace.get(one) ?? one);
  };
}
