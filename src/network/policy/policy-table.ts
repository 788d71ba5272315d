import { runCommand } from '#base';

export const policyTable = 'k8ts_policy';

/** True when this network namespace has rules of policies. */
export async function hasPolicyTable(): Promise<boolean> {
  const { code } = await runCommand('nft', ['list', 'chain', 'ip', policyTable, 'forward'], { okCodes: [0, 1] });
  return code === 0;
}
