import type { Command } from 'commander';
import { type ClusterLayout, clusterLayout } from '#admin';
import { parseName } from '../options.ts';
import { isRoot } from './programs.ts';

export interface ClusterOptions {
  readonly name: string;
  readonly dataDir?: string;
}

/** The options by which every command finds its cluster. */
export function withCluster(command: Command): Command {
  return command
    .option('--name <name>', 'name of the cluster', parseName, 'default')
    .option('--data-dir <dir>', 'where the cluster keeps its data');
}

export function layoutOf(options: ClusterOptions): ClusterLayout {
  return clusterLayout(options.name, {
    isRoot: isRoot(),
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
  });
}
