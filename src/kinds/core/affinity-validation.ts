import type {
  Affinity,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
} from '#api';
import { validateDns1123Subdomain, validateLabelValue, validateQualifiedName } from '#machinery';
import type { Findings } from '../findings.ts';

const effects: readonly string[] = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateAffinity(affinity: Affinity | undefined, field: string, found: Findings): void {
  const node = affinity?.nodeAffinity;
  if (node?.requiredDuringSchedulingIgnoredDuringExecution != null)
    validateNodeSelector(
      node.requiredDuringSchedulingIgnoredDuringExecution,
      `${field}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`,
      found,
    );
  for (const [index, term] of (node?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const at = `${field}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
    validateWeight(term.weight, `${at}.weight`, found);
    validateTerm(term.preference, `${at}.preference`, found, true);
  }
  for (const name of ['podAffinity', 'podAntiAffinity'] as const) {
    const part = affinity?.[name];
    for (const [index, term] of (part?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries())
      validatePodTerm(term, `${field}.${name}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`, found);
    for (const [index, term] of (part?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const at = `${field}.${name}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
      validateWeight(term.weight, `${at}.weight`, found);
      validatePodTerm(term.podAffinityTerm, `${at}.podAffinityTerm`, found);
    }
  }
}

function validateWeight(weight: number | undefined, field: string, found: Findings): void {
  if (weight === undefined || weight < 1 || weight > 100)
    found.invalid(field, weight ?? 0, 'must be in the range 1-100');
}

function validatePodTerm(term: PodAffinityTerm | undefined, field: string, found: Findings): void {
  found.selector(`${field}.labelSelector`, term?.labelSelector);
  found.selector(`${field}.namespaceSelector`, term?.namespaceSelector);
  for (const name of term?.namespaces ?? []) found.label(`${field}.namespace`, name);
  if (!term?.topologyKey) found.required(`${field}.topologyKey`, 'can not be empty');
  found.each(`${field}.topologyKey`, term?.topologyKey ?? '', validateQualifiedName(term?.topologyKey ?? ''));
}

/** Terms of a node selector, in affinity of pods and of volumes. */
export function validateNodeSelector(selector: NodeSelector, field: string, found: Findings): void {
  const at = `${field}.nodeSelectorTerms`;
  if (!selector.nodeSelectorTerms?.length) return found.required(at, 'must have at least one node selector term');
  for (const [index, term] of selector.nodeSelectorTerms.entries()) validateTerm(term, `${at}[${index}]`, found);
}

/** In preferences any value may stand. */
function validateTerm(term: NodeSelectorTerm | undefined, field: string, found: Findings, anyValue = false): void {
  for (const [index, one] of (term?.matchExpressions ?? []).entries())
    validateRequirement(one, `${field}.matchExpressions[${index}]`, found, anyValue);
  for (const [index, one] of (term?.matchFields ?? []).entries())
    validateFieldRequirement(one, `${field}.matchFields[${index}]`, found);
}

function validateRequirement(one: NodeSelectorRequirement, field: string, found: Findings, anyValue: boolean): void {
  const values = one.values ?? [];
  switch (one.operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0)
        found.required(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
      break;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0)
        found.forbidden(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      break;
    case 'Gt':
    case 'Lt':
      if (values.length !== 1)
        found.required(`${field}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'");
      break;
    default:
      found.invalid(`${field}.operator`, one.operator ?? '', 'not a valid selector operator');
  }
  found.each(`${field}.key`, one.key, validateQualifiedName(one.key ?? ''));
  if (anyValue) return;
  for (const [index, value] of values.entries())
    found.each(`${field}.values[${index}]`, value, validateLabelValue(value));
}

function validateFieldRequirement(one: NodeSelectorRequirement, field: string, found: Findings): void {
  if (one.operator === 'In' || one.operator === 'NotIn') {
    if (one.values?.length !== 1)
      found.required(
        `${field}.values`,
        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
      );
  } else found.invalid(`${field}.operator`, one.operator ?? '', 'not a valid selector operator');
  if (one.key !== 'metadata.name') found.invalid(`${field}.key`, one.key ?? '', 'not a valid field selector key');
  else
    for (const [index, value] of (one.values ?? []).entries())
      found.each(`${field}.values[${index}]`, value, validateDns1123Subdomain(value));
}

export function validateTolerations(
  tolerations: readonly Toleration[] | undefined,
  field: string,
  found: Findings,
): void {
  for (const [index, toleration] of (tolerations ?? []).entries()) {
    const at = `${field}[${index}]`;
    const { key, operator, value = '', effect, tolerationSeconds } = toleration;
    if (key) found.each(`${at}.key`, key, validateQualifiedName(key));
    else if (operator !== 'Exists')
      found.invalid(
        `${at}.operator`,
        operator ?? '',
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      );
    if (tolerationSeconds != null && effect !== 'NoExecute')
      found.invalid(`${at}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (!operator || operator === 'Equal') {
      const messages = validateLabelValue(value);
      if (messages.length > 0) found.invalid(`${at}.operator`, value, messages.join(';'));
    } else if (operator === 'Exists') {
      if (value !== '') found.invalid(`${at}.operator`, value, "value must be empty when `operator` is 'Exists'");
    } else found.notSupported(`${at}.operator`, operator, ['Equal', 'Exists']);
    validateTaintEffect(effect, true, `${at}.effect`, found);
  }
}

export function validateTaintEffect(
  effect: string | undefined,
  optional: boolean,
  field: string,
  found: Findings,
): void {
  if (!effect) {
    if (!optional) found.required(field);
  } else if (!effects.includes(effect)) found.notSupported(field, effect, effects);
}

const unsatisfiable: readonly string[] = ['DoNotSchedule', 'ScheduleAnyway'];
const inclusions: readonly string[] = ['Honor', 'Ignore'];

export function validateTopologySpread(
  constraints: readonly TopologySpreadConstraint[] | undefined,
  field: string,
  found: Findings,
): void {
  const pairs = (constraints ?? []).map((one) => `{${one.topologyKey ?? ''}, ${one.whenUnsatisfiable ?? ''}}`);
  for (const [index, one] of (constraints ?? []).entries()) {
    const at = `${field}[${index}]`;
    if (!(one.maxSkew > 0)) found.invalid(`${at}.maxSkew`, one.maxSkew ?? 0, 'must be greater than zero');
    if (!one.topologyKey) found.required(`${at}.topologyKey`, 'can not be empty');
    if (!unsatisfiable.includes(one.whenUnsatisfiable))
      found.notSupported(`${at}.whenUnsatisfiable`, one.whenUnsatisfiable ?? '', unsatisfiable);
    const pair = pairs[index] ?? '';
    if (pairs.indexOf(pair, index + 1) >= 0) found.duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair);
    if (one.minDomains != null) {
      if (one.minDomains <= 0) found.invalid(`${at}.minDomains`, one.minDomains, 'must be greater than zero');
      if (one.whenUnsatisfiable !== 'DoNotSchedule')
        found.invalid(
          `${at}.minDomains`,
          one.minDomains,
          `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${one.whenUnsatisfiable}`,
        );
    }
    found.optionalOneOf(`${at}.nodeAffinityPolicy`, one.nodeAffinityPolicy, inclusions);
    found.optionalOneOf(`${at}.nodeTaintsPolicy`, one.nodeTaintsPolicy, inclusions);
    found.selector(`${at}.labelSelector`, one.labelSelector);
    const selected = new Set([
      ...Object.keys(one.labelSelector?.matchLabels ?? {}),
      ...(one.labelSelector?.matchExpressions ?? []).map(({ key }) => key),
    ]);
    if (one.matchLabelKeys?.length && one.labelSelector == null)
      found.forbidden(`${at}.matchLabelKeys`, 'must not be specified when labelSelector is not set');
    for (const [position, key] of (one.matchLabelKeys ?? []).entries()) {
      found.each(`${at}.matchLabelKeys[${position}]`, key, validateQualifiedName(key));
      if (selected.has(key))
        found.invalid(`${at}.matchLabelKeys[${position}]`, key, 'exists in both matchLabelKeys and labelSelector');
    }
  }
}
