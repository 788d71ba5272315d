import { CodedError } from '#base';
import { type CheckWishes, type Finding, ignoreFindings, planPreflight } from './preflight/checks.ts';
import { type FactsOptions, readMachineFacts } from './preflight/facts.ts';

/** Looks at this machine; warnings are said, errors end it (CodedError `Preflight`), unless they are to be ignored. */
export async function runPreflight(options: {
  readonly facts: FactsOptions;
  readonly wishes: CheckWishes;
  readonly ignored: readonly string[];
  readonly say: (line: string) => void;
}): Promise<void> {
  const facts = await readMachineFacts(options.facts);
  reportFindings(planPreflight(facts, options.wishes), options);
}

export function reportFindings(
  found: readonly Finding[],
  options: { readonly ignored: readonly string[]; readonly say: (line: string) => void },
): void {
  const findings = ignoreFindings(found, options.ignored);
  for (const { level, name, text } of findings) options.say(`[${level.toUpperCase()} ${name}] ${text}`);
  const errors = findings.filter((one) => one.level === 'error');
  if (errors.length === 0) return;
  const names = [...new Set(errors.map((one) => one.name))].join(',');
  const [first] = errors;
  throw new CodedError(
    'Preflight',
    `this machine is not ready: ${errors.length === 1 ? first?.text : `see the ${errors.length} errors above`}; correct that, or go on at your own risk with --ignore-preflight-errors=${names}`,
  );
}
