import type { AnyObject, CustomResourceDefinition } from '#api';
import { messageOf, type Random } from '#base';
import { decodeJson, encodeJson } from '#codec';
import { errInternal, fieldErrorText, validateAnnotations, validateLabels } from '#machinery';
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
    const others = objects.filter((one) => one.apiVersion !== apiVersion);
    const [first] = others;
    if (first === undefined) return objects;
    const about = `conversion webhook for ${first.apiVersion}, Kind=${first.kind}`;
    const fail = (why: string): Error => errInternal(`${about} failed: ${why}`);
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
    if (response === undefined || response === null) throw fail('no response provided');
    if (response.uid !== uid)
      throw fail(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
    const { status = '', message = '' } = response.result ?? {};
    if (status !== 'Success')
      throw fail(message === '' ? `response.result.status was '${status}', not 'Success'` : message);
    const converted = response.convertedObjects ?? [];
    if (converted.length !== others.length)
      throw errInternal(`${about} returned ${converted.length} objects, expected ${others.length}`);
    const byPlace = new Map<AnyObject, AnyObject>();
    for (const [index, one] of others.entries()) {
      const made = decodeJson(encodeJson(converted[index])) as AnyObject;
      const invalid = (why: string): Error =>
        errInternal(`${about} returned invalid converted object at index ${index}: ${why}`);
      if (made?.apiVersion !== apiVersion)
        throw invalid(`invalid groupVersion (expected ${apiVersion}, received ${made?.apiVersion ?? ''})`);
      if (made.kind !== one.kind) throw invalid(`invalid kind (expected ${one.kind}, received ${made.kind})`);
      if (typeof made.metadata !== 'object' || made.metadata === null)
        throw invalid('missing metadata in converted object');
      for (const [name, word] of [
        ['name', 'name'],
        ['namespace', 'namespace'],
        ['uid', 'UID'],
      ] as const)
        if ((made.metadata[name] ?? '') !== (one.metadata[name] ?? ''))
          throw invalid(`must have the same ${word}: ${one.metadata[name] ?? ''} != ${made.metadata[name] ?? ''}`);
      const wrong = [
        ...validateLabels(made.metadata.labels ?? {}, 'metadata.labels'),
        ...validateAnnotations(made.metadata.annotations ?? {}, 'metadata.annotation'),
      ];
      if (wrong[0] !== undefined) throw invalid(fieldErrorText(wrong[0]));
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
