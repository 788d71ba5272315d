import { errForbidden } from '#machinery';
import type { AdmissionAttributes, Authorizer, ObjectView } from '../../contract.ts';
import {
  AskedAuthorizer,
  type CompiledConditions,
  compileConditions,
  RequestActivation,
  withAnswers,
} from '../policy/environment.ts';
import { namespaceOf } from '../policy/matching.ts';
import type { Webhook } from './webhook-rules.ts';

const compiled = new WeakMap<Webhook, CompiledConditions>();

export interface ConditionsQuestion {
  readonly attributes: AdmissionAttributes;
  readonly authorizer: Authorizer;
  readonly namespaces: ObjectView;
}

/**
 * Whether all match conditions of a webhook hold. Where they cannot be evaluated the failure policy decides: the webhook is left
 * out, or ApiError 403 is thrown.
 */
export async function conditionsHold(webhook: Webhook, question: ConditionsQuestion): Promise<boolean> {
  const { attributes, authorizer, namespaces } = question;
  if (webhook.matchConditions.length === 0) return true;
  let conditions = compiled.get(webhook);
  if (conditions === undefined) {
    conditions = compileConditions(webhook.matchConditions, { params: false, authorizer: true });
    compiled.set(webhook, conditions);
  }
  const match = conditions.match;
  const asked = new AskedAuthorizer(authorizer, attributes);
  const namespace = namespaceOf(attributes, namespaces);
  const mismatch = await withAnswers(() =>
    match(new RequestActivation({ attributes, params: undefined, namespace, asked }, [])),
  );
  if (mismatch === undefined) return true;
  if (mismatch.error === undefined || webhook.failurePolicy === 'Ignore') return false;
  throw errForbidden({ group: attributes.group, plural: attributes.resource }, attributes.name ?? '', mismatch.error);
}
