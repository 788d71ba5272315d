import { networkInterfaces } from 'node:os';
import { CodedError, runCommand } from '#base';

/** The number of an IPv4 address; undefined when it is none. */
function numberOf(address: string): number | undefined {
  const parts = address.split('.');
  if (parts.length !== 4 || parts.some((one) => !/^\d{1,3}$/.test(one) || Number(one) > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

const textOf = (value: number): string => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');

/** An IPv4 range as its first address and size. Throws CodedError `WrongUsage`. */
export function parseRange(cidr: string, option: string): { readonly first: number; readonly size: number } {
  const [address = '', bits = ''] = cidr.split('/');
  const value = numberOf(address);
  if (value === undefined || !/^\d{1,2}$/.test(bits) || Number(bits) > 32)
    throw new CodedError('WrongUsage', `${option} ${cidr} is not an IPv4 range like 10.244.0.0/16`);
  const size = 2 ** (32 - Number(bits));
  return { first: value - (value % size), size };
}

/** 10.96.0.0/12, 10 → 10.96.0.10. */
export function addressAt(cidr: string, index: number): string {
  return textOf(parseRange(cidr, 'the range').first + index);
}

export function overlap(a: string, b: string): boolean {
  const one = parseRange(a, 'the range');
  const other = parseRange(b.includes('/') ? b : `${b}/32`, 'the range');
  return one.first < other.first + other.size && other.first < one.first + one.size;
}

/** This machine's IPv4 addresses by network interface, loopback left out. */
export function ownAddresses(): { readonly link: string; readonly address: string; readonly isAlone: boolean }[] {
  return Object.entries(networkInterfaces()).flatMap(([link, list]) =>
    (list ?? [])
      .filter((one) => one.family === 'IPv4' && !one.internal)
      .map(({ address, netmask }) => ({ link, address, isAlone: netmask === '255.255.255.255' })),
  );
}

/** The network interface that has an address. Throws CodedError `NoAddress`. */
export function linkOf(address: string): string {
  const found = ownAddresses();
  const link = found.find((one) => one.address === address)?.link;
  if (link !== undefined) return link;
  const has = found.map((one) => `${one.address} (${one.link})`).join(', ') || 'none';
  throw new CodedError('NoAddress', `this machine does not have the address ${address}; it has ${has}`);
}

/**
 * The address by which other machines reach this one: of the way out, else the only one on a link with others (a pod's end has a range
 * of its own address alone). Throws CodedError `NoAddress`.
 */
export async function defaultAddress(option: string): Promise<string> {
  const addresses = ownAddresses();
  const { stdout } = await runCommand('ip', ['-j', '-4', 'route', 'show', 'default'], { okCodes: [0, 1, 2] });
  const routes = JSON.parse(stdout.trim() === '' ? '[]' : stdout) as { dev?: string; prefsrc?: string }[];
  for (const { dev, prefsrc } of routes) {
    const found = addresses.find((one) => (prefsrc === undefined ? one.link === dev : one.address === prefsrc));
    if (found !== undefined) return found.address;
  }
  const [only, ...more] = addresses.filter((one) => !one.isAlone);
  if (only !== undefined && more.length === 0) return only.address;
  const has = addresses.map((one) => `${one.address} (${one.link})`).join(', ') || 'none';
  throw new CodedError(
    'NoAddress',
    `this machine has no default route, and these addresses: ${has}; choose one with ${option}`,
  );
}

/** Destinations of this machine's IPv4 routes with their network interface; default routes and `k8ts`'s own (protocol 118) left out. */
export async function routesOf(): Promise<{ readonly destination: string; readonly link: string }[]> {
  const { stdout } = await runCommand('ip', ['-j', '-4', 'route', 'show']);
  const rows = JSON.parse(stdout.trim() === '' ? '[]' : stdout) as { dst?: string; dev?: string; protocol?: string }[];
  return rows
    .filter((row) => row.dst !== undefined && row.dst !== 'default' && row.protocol !== '118')
    .map((row) => ({ destination: row.dst as string, link: row.dev ?? '' }));
}
