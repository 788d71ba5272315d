import type { AnyObject, LabelSelector as ApiLabelSelector, MatchCondition, RuleWithOperations } from '#api';
import { labelSelectorOf } from '#machinery';
import type { AdmissionAttributes, ObjectView } from '../../contract.ts';

/** One webhook of one configuration. Selectors are parsed once. */
export interface Webhook {
  readonly configuration: string;
  readonly name: string;
  readonly clientConfig: {
    readonly url?: string;
    readonly service?: {
      readonly namespace: string;
      readonly name: string;
      readonly path?: string;
      readonly port?: number;
    };
    readonly caBundle?: string;
  };
  readonly rules: readonly RuleWithOperations[];
  /** Only the versions that the rules name, not others of the same resource. */
  readonly exact: boolean;
  readonly failurePolicy: string;
  readonly timeoutSeconds: number;
  readonly sideEffects: string;
  readonly reinvoke: boolean;
  readonly admissionReviewVersions: readonly string[];
  readonly matchConditions: readonly MatchCondition[];
  readonly namespaceSelector: ReturnType<typeof labelSelectorOf>;
  readonly objectSelector: ReturnType<typeof labelSelectorOf>;
}

interface ApiWebhook {
  readonly name: string;
  readonly clientConfig: Webhook['clientConfig'];
  readonly rules?: readonly RuleWithOperations[];
  readonly failurePolicy?: string;
  readonly timeoutSeconds?: number;
  readonly sideEffects?: string;
  readonly reinvocationPolicy?: string;
  readonly matchPolicy?: string;
  readonly admissionReviewVersions?: readonly string[];
  readonly matchConditions?: readonly MatchCondition[];
  readonly namespaceSelector?: ApiLabelSelector;
  readonly objectSelector?: ApiLabelSelector;
}

/** The webhooks of all configurations, by configuration name and then in their own order. */
export function webhooksOf(configurations: readonly AnyObject[]): Webhook[] {
  return [...configurations]
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .flatMap((configuration) =>
      ((configuration.webhooks as readonly ApiWebhook[] | undefined) ?? []).map((one) => ({
        configuration: configuration.metadata.name,
        name: one.name,
        clientConfig: one.clientConfig,
        rules: one.rules ?? [],
        exact: one.matchPolicy === 'Exact',
        failurePolicy: one.failurePolicy ?? 'Fail',
        timeoutSeconds: one.timeoutSeconds ?? 10,
        sideEffects: one.sideEffects ?? 'Unknown',
        reinvoke: one.reinvocationPolicy === 'IfNeeded',
        admissionReviewVersions: one.admissionReviewVersions ?? ['v1'],
        matchConditions: one.matchConditions ?? [],
        namespaceSelector: labelSelectorOf(one.namespaceSelector ?? {}),
        objectSelector: labelSelectorOf(one.objectSelector ?? {}),
      })),
    );
}

export interface RequestKind {
  readonly operation: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespaced: boolean;
}

/** Whether some rule names the request's operation and resource. */
export function rulesMatch(rules: readonly RuleWithOperations[], request: RequestKind): boolean {
  const names = (list: readonly string[] | undefined, value: string): boolean =>
    list?.includes('*') === true || list?.includes(value) === true;
  return rules.some(
    (rule) =>
      names(rule.operations, request.operation) &&
      names(rule.apiGroups, request.group) &&
      names(rule.apiVersions, request.version) &&
      (rule.resources ?? []).some((one) => resourceMatches(one, request)) &&
      scopeMatches(rule.scope, request),
  );
}

function resourceMatches(pattern: string, { resource, subresource }: RequestKind): boolean {
  const slash = pattern.indexOf('/');
  const wantedResource = slash < 0 ? pattern : pattern.slice(0, slash);
  const wantedSub = slash < 0 ? '' : pattern.slice(slash + 1);
  return (wantedResource === '*' || wantedResource === resource) && (wantedSub === subresource || wantedSub === '*');
}

function scopeMatches(scope: string | undefined, { namespaced }: RequestKind): boolean {
  return scope === undefined || scope === '*' || scope === (namespaced ? 'Namespaced' : 'Cluster');
}

/** Whether the labels of the namespace and of the object (or of the old one) fit. */
export function selectorsMatch(
  webhook: Pick<Webhook, 'namespaceSelector' | 'objectSelector'>,
  attributes: AdmissionAttributes,
  namespaces: ObjectView,
): boolean {
  const objectFits = [attributes.object, attributes.oldObject].some(
    (one) => one !== undefined && webhook.objectSelector.matches(one.metadata?.labels),
  );
  if (!objectFits && !webhook.objectSelector.isEmpty()) return false;
  if (webhook.namespaceSelector.isEmpty()) return true;
  if (attributes.resource === 'namespaces' && attributes.group === '') {
    return webhook.namespaceSelector.matches((attributes.object ?? attributes.oldObject)?.metadata.labels);
  }
  if (attributes.namespace === '') return true;
  return webhook.namespaceSelector.matches(namespaces.get(undefined, attributes.namespace)?.metadata.labels);
}
