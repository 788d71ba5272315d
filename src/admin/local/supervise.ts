import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SupervisedProgram } from '#base';
import type { OwnCommand } from './bring-up.ts';
import { cgroupFiles } from './cgroups.ts';
import { serverPidFile } from './cluster.ts';
import { type ClusterLayout, nodeLayout } from './layout.ts';
import { programOnNode } from './nodes.ts';
import { spawnBackground } from './processes.ts';
import type { ClusterState } from './state.ts';
import { leaveUnsupervised, supervisorPidFile } from './supervisor-process.ts';

/** The programs of a cluster on this machine that are to run as long as their node has power. */
export function planPrograms(layout: ClusterLayout, state: ClusterState, ownCommand: OwnCommand): SupervisedProgram[] {
  const serverConfig = join(layout.dataDir, 'server.json');
  if (state.nodes.length === 0) {
    const own = ownCommand('server', '--config', serverConfig);
    const pidFile = serverPidFile(layout, state);
    return [{ name: 'server', ...own, pidFile, logFile: join(layout.logDir, 'server.log') }];
  }
  return state.nodes
    .filter((node) => !node.stopped)
    .flatMap((node) => {
      const own = nodeLayout(layout, node.name);
      const on = (verb: string, configFile: string): SupervisedProgram => {
        const { program, args } = ownCommand(verb, '--config', configFile);
        const onNode = programOnNode(own, verb, [program, ...args]);
        return { name: `${verb} of ${node.name}`, ...onNode, cgroupFiles: cgroupFiles(own.cgroup) };
      };
      const agent = on('agent', join(own.dataDir, 'agent.json'));
      return node.controlPlane ? [on('server', serverConfig), agent] : [agent];
    });
}

/** From now on whatever of the cluster's programs ends is started again; those that run are left as they are. */
export function superviseCluster(options: {
  readonly layout: ClusterLayout;
  readonly state: ClusterState;
  readonly ownCommand: OwnCommand;
}): void {
  const { layout, state, ownCommand } = options;
  leaveUnsupervised(layout);
  const pidFile = supervisorPidFile(layout);
  const file = join(layout.runDir, 'supervisor.json');
  writeFileSync(file, JSON.stringify({ programs: planPrograms(layout, state, ownCommand), pidFile }), { mode: 0o600 });
  spawnBackground({
    ...ownCommand('supervise', '--config', file),
    pidFile,
    logFile: join(layout.logDir, 'supervisor.log'),
  });
}
