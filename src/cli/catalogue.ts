import type { CommandDefinition } from './command.ts';
import { agentCommand } from './commands/agent.command.ts';
import { doctorCommand } from './commands/doctor.command.ts';
import { downCommand } from './commands/down.command.ts';
import { imageCommand } from './commands/image.command.ts';
import { kubeconfigCommand } from './commands/kubeconfig.command.ts';
import { listCommand } from './commands/list.command.ts';
import { nodeCommand } from './commands/node.command.ts';
import { serverCommand } from './commands/server.command.ts';
import { statusCommand } from './commands/status.command.ts';
import { testCommand } from './commands/test.command.ts';
import { upCommand } from './commands/up.command.ts';

/** Every verb, in the order of --help. */
export const commands: readonly CommandDefinition[] = [
  upCommand,
  downCommand,
  listCommand,
  statusCommand,
  kubeconfigCommand,
  imageCommand,
  nodeCommand,
  doctorCommand,
  serverCommand,
  agentCommand,
  testCommand,
];
