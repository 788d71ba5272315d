import { readFileSync } from 'node:fs';

/** How full the kernel's table of connections is, 0 to 1; undefined where it cannot be read. */
export function connectionTableUse(folder = '/proc/sys/net/netfilter'): number | undefined {
  try {
    const count = Number(readFileSync(`${folder}/nf_conntrack_count`, 'utf8'));
    const most = Number(readFileSync(`${folder}/nf_conntrack_max`, 'utf8'));
    return most > 0 ? count / most : undefined;
  } catch {
    return undefined;
  }
}
