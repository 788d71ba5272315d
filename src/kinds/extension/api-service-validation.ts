import type { APIService } from '#api';
import { type FieldError, validateDns1035Label, validateDns1123Subdomain, validatePortNumber } from '#machinery';
import { Findings } from '../findings.ts';

export function validateApiService(service: APIService): FieldError[] {
  const found = new Findings();
  const spec = service.spec ?? ({} as NonNullable<APIService['spec']>);
  const { group = '', version = '' } = spec;
  const expected = `${version}.${group}`;
  if (service.metadata.name !== expected)
    found.invalid('metadata.name', service.metadata.name, `must be \`spec.version+"."+spec.group\`: "${expected}"`);
  if (group === '') {
    if (version !== 'v1') found.required('spec.group', 'only v1 may have an empty group and it better be legacy kube');
  } else found.each('spec.group', group, validateDns1123Subdomain(group));
  found.each('spec.version', version, validateDns1035Label(version));
  const { groupPriorityMinimum = 0, versionPriority = 0 } = spec;
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > 20000)
    found.invalid('spec.groupPriorityMinimum', groupPriorityMinimum, 'must be positive and less than 20000');
  if (versionPriority <= 0 || versionPriority > 1000)
    found.invalid('spec.versionPriority', versionPriority, 'must be positive and less than 1000');
  if (spec.service == null) {
    if (spec.caBundle)
      found.invalid('spec.caBundle', `${spec.caBundle.length} bytes`, 'local APIServices may not have a caBundle');
    if (spec.insecureSkipTLSVerify)
      found.invalid('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify');
    return found.list;
  }
  found.present('spec.service.namespace', spec.service.namespace);
  found.present('spec.service.name', spec.service.name);
  const messages = validatePortNumber(spec.service.port ?? 443);
  if (messages.length > 0)
    found.invalid('spec.service.port', spec.service.port, `port is not valid: ${messages.join(', ')}`);
  if (spec.insecureSkipTLSVerify && spec.caBundle)
    found.invalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present');
  return found.list;
}

export function validateApiServiceStatus({ status }: APIService): FieldError[] {
  const found = new Findings();
  for (const [index, condition] of (status?.conditions ?? []).entries())
    if (!['True', 'False', 'Unknown'].includes(condition.status))
      found.notSupported(`status.conditions[${index}].status`, condition.status, ['True', 'False', 'Unknown']);
  return found.list;
}
