import type {
  AnyObject,
  MatchCondition,
  MutatingAdmissionPolicy,
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingWebhookConfiguration,
} from '#api';
import { deepEqual, errInvalid, type FieldError } from '#machinery';
import type { KindHooks } from '../../resources/context.ts';

const group = 'admissionregistration.k8s.io';

/** Refuses policies and webhooks whose expressions do not compile. The language is loaded when there is an expression. */
function hooksFor(kind: string, check: (object: AnyObject) => Promise<FieldError[]>, ofGroup = group): KindHooks {
  const judge = async (object: AnyObject): Promise<undefined> => {
    const errors = await check(object);
    if (errors.length > 0) throw errInvalid({ group: ofGroup, kind }, object.metadata.name, errors);
    return undefined;
  };
  const content = ({ spec, webhooks }: AnyObject): unknown => [spec, webhooks];
  return {
    beforeCreate: (draft) => judge(draft),
    beforeUpdate: (draft, old) => (deepEqual(content(draft), content(old)) ? undefined : judge(draft)),
  };
}

async function checkWebhooks(object: AnyObject): Promise<FieldError[]> {
  const { webhooks = [] } = object as unknown as ValidatingWebhookConfiguration | MutatingWebhookConfiguration;
  const withConditions = webhooks.map(({ matchConditions }) => matchConditions ?? []);
  if (withConditions.every((one: readonly MatchCondition[]) => one.length === 0)) return [];
  const { conditionErrors } = await import('./expression-check.ts');
  return withConditions.flatMap((conditions, index) =>
    conditionErrors(conditions, `webhooks[${index}].matchConditions`, false),
  );
}

/** Devices are chosen by expressions; most claims have none. */
async function checkSelectors(object: AnyObject): Promise<FieldError[]> {
  if (!JSON.stringify(object.spec ?? {}).includes('"cel"')) return [];
  return (await import('./device-selectors.ts')).deviceSelectorErrors(object);
}

/** By `group/plural`: what is checked before such an object is stored. */
export const expressionHooks: readonly (readonly [name: string, hooks: KindHooks])[] = [
  [
    `${group}/validatingadmissionpolicies`,
    hooksFor('ValidatingAdmissionPolicy', async (object) =>
      (await import('./expression-check.ts')).validatingPolicyErrors(object as unknown as ValidatingAdmissionPolicy),
    ),
  ],
  [
    `${group}/mutatingadmissionpolicies`,
    hooksFor('MutatingAdmissionPolicy', async (object) =>
      (await import('./expression-check.ts')).mutatingPolicyErrors(object as unknown as MutatingAdmissionPolicy),
    ),
  ],
  [`${group}/validatingwebhookconfigurations`, hooksFor('ValidatingWebhookConfiguration', checkWebhooks)],
  [`${group}/mutatingwebhookconfigurations`, hooksFor('MutatingWebhookConfiguration', checkWebhooks)],
  ...(['DeviceClass', 'ResourceClaim', 'ResourceClaimTemplate'] as const).map(
    (kind) =>
      [
        `resource.k8s.io/${kind === 'DeviceClass' ? 'deviceclasses' : `${kind.toLowerCase()}s`}`,
        hooksFor(kind, checkSelectors, 'resource.k8s.io'),
      ] as const,
  ),
];
