import type { MatchResources, MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '#api';

export function applyWebhookDefaults(
  configuration: MutatingWebhookConfiguration | ValidatingWebhookConfiguration,
  mutating: boolean,
): void {
  for (const webhook of configuration.webhooks ?? []) {
    webhook.failurePolicy ??= 'Fail';
    webhook.matchPolicy ??= 'Equivalent';
    webhook.namespaceSelector ??= {};
    webhook.objectSelector ??= {};
    webhook.timeoutSeconds ??= 10;
    if (mutating) (webhook as { reinvocationPolicy?: string }).reinvocationPolicy ??= 'Never';
    for (const rule of webhook.rules ?? []) rule.scope ??= '*';
    if (webhook.clientConfig?.service != null) webhook.clientConfig.service.port ??= 443;
  }
}

export function applyMatchDefaults(match: MatchResources | undefined): void {
  if (match == null) return;
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= '*';
}
