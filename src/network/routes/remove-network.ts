import { runCommand } from '#base';
import { policyTable } from '../policy/policy-table.ts';
import { removeAnnouncedAddresses } from '../proxy/announcements.ts';
import { tableName } from '../proxy/ruleset.ts';
import { tunnelName, tunnelTable } from '../tunnel/plan-tunnel.ts';

/**
 * Takes away everything that this room put into the node's network namespace: rules, routes, the tunnel, load balancers' addresses, the DNS address on loopback.
 * For a node that leaves its cluster; what is not there is no error. Links of pods go with their sandboxes.
 */
export async function removeNodeNetwork(options: { readonly clusterDns?: string } = {}): Promise<void> {
  const tables = [tableName, policyTable, tunnelTable].map((name) => `table ip ${name} {}\ndelete table ip ${name}\n`);
  await runCommand('nft', ['-f', '-'], { input: tables.join('') });
  await removeAnnouncedAddresses();
  await runCommand('ip', ['-4', 'route', 'flush', 'proto', '118'], { okCodes: [0, 1, 2, 255] });
  await runCommand('ip', ['link', 'delete', tunnelName], { okCodes: [0, 1] });
  if (options.clusterDns !== undefined) {
    await runCommand('ip', ['address', 'delete', `${options.clusterDns}/32`, 'dev', 'lo'], { okCodes: [0, 1, 2] });
  }
}
