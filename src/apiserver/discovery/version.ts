import type { Route } from '../contract.ts';
import { jsonResponse } from '../http/respond.ts';

export interface VersionOptions {
  /** Of this program. */
  readonly version?: string;
  readonly gitCommit?: string;
  readonly buildDate?: string;
}

/** Clients expect a hexadecimal name here, also of a program that does not know the commit it was made from. */
const unknownCommit = '0'.repeat(40);

/** The API's version that is served, with this program's as its build. */
export const apiVersionServed = { major: '1', minor: '36', patch: '0' };

export function gitVersion({ version = '0.1.0' }: VersionOptions): string {
  const { major, minor, patch } = apiVersionServed;
  return `v${major}.${minor}.${patch}+k8ts.${version}`;
}

/** What this program is, in the fields of upstream's build information. */
export function buildOf(options: VersionOptions): Readonly<Record<string, string>> {
  const { major, minor } = apiVersionServed;
  return {
    major,
    minor,
    gitVersion: gitVersion(options),
    gitCommit: options.gitCommit ?? unknownCommit,
    gitTreeState: 'clean',
    buildDate: options.buildDate ?? '1970-01-01T00:00:00Z',
    goVersion: `node${process.version}`,
    compiler: 'node',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}

export function versionRoute(options: VersionOptions): Route {
  const { major, minor } = apiVersionServed;
  const { major: _major, minor: _minor, ...build } = buildOf(options);
  const info = Object.freeze({
    major,
    minor,
    emulationMajor: major,
    emulationMinor: minor,
    minCompatibilityMajor: major,
    minCompatibilityMinor: String(Number(minor) - 1),
    ...build,
  });
  return { path: '/version', handle: async () => jsonResponse(200, info) };
}
