import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CodedError } from '#base';
import { writeJson } from './files.ts';
import type { MachineLayout } from './layout.ts';

/** What init or join decided for this machine, and what was there before them: reset removes the rest. */
export interface MachineRecord {
  readonly format: 1;
  readonly role: 'control-plane' | 'worker';
  readonly nodeName: string;
  readonly nodeIp: string;
  /** Version of this package that made it, or last upgraded it. */
  readonly version: string;
  /** Absent: a containerd of the machine's own. */
  readonly criSocket?: string;
  readonly serviceCidr: string;
  readonly clusterDns: string;
  /** By folder: the names that were in it before; folders that were not there are absent. */
  readonly before: Readonly<Record<string, readonly string[]>>;
}

/** The folders that init and join write into. */
export function foldersOf(layout: MachineLayout): string[] {
  return [
    layout.etcDir,
    layout.pkiDir,
    layout.certsDir,
    layout.cniConfDir,
    layout.cniBinDir,
    layout.kubeletDir,
    layout.dataDir,
    layout.runDir,
    layout.logDir,
    layout.podLogsDir,
    layout.containerLogsDir,
  ];
}

/** Every folder that will be written into, with its parents below the root, and what is in it now. */
export function observeFolders(layout: MachineLayout): Record<string, string[]> {
  const before: Record<string, string[]> = {};
  for (const folder of foldersOf(layout)) {
    for (let one = folder; !Object.hasOwn(before, one); one = dirname(one)) {
      if (existsSync(one)) before[one] = foldersOf(layout).includes(one) ? readdirSync(one) : [];
      if (one === layout.root || one === '/') break;
    }
  }
  return before;
}

export function readRecord(layout: MachineLayout): MachineRecord | undefined {
  let text: string;
  try {
    text = readFileSync(layout.recordFile, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'EACCES')
      throw new CodedError('NeedsRoot', `${layout.recordFile} is for root alone: run this with sudo`);
    throw error;
  }
  try {
    const record = JSON.parse(text) as MachineRecord;
    if (record.format !== 1) throw new Error(`format ${record.format}`);
    return record;
  } catch (error) {
    throw new CodedError(
      'RecordUnreadable',
      `${layout.recordFile} is not a description of this version: k8ts reset --force removes this machine from its cluster`,
      { cause: error },
    );
  }
}

/** The record of a machine that is in a cluster. */
export function requireRecord(layout: MachineLayout): MachineRecord {
  const record = readRecord(layout);
  if (record === undefined) {
    const where = layout.root === '/' ? 'this machine' : `the machine below ${layout.root}`;
    throw new CodedError('NoMachine', `${where} is in no cluster: make one with k8ts init, or join one with k8ts join`);
  }
  return record;
}

export function writeRecord(layout: MachineLayout, record: MachineRecord): void {
  writeJson(layout.recordFile, record);
}

export function configFile(layout: MachineLayout, name: 'server' | 'agent' | 'supervisor'): string {
  return join(layout.configDir, `${name}.json`);
}
