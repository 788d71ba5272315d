import type { CommandEntry } from './command.ts';

/** Every verb, in the order of --help. Only the verb that runs is loaded. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'up',
    description: 'start a cluster on this machine (or start it again) and wait until it is useful',
    load: async () => (await import('./commands/up.command.ts')).upCommand,
  },
  {
    name: 'down',
    description: 'stop a cluster; its data stay unless --delete',
    load: async () => (await import('./commands/down.command.ts')).downCommand,
  },
  {
    name: 'list',
    description: 'list the clusters on this machine',
    load: async () => (await import('./commands/list.command.ts')).listCommand,
  },
  {
    name: 'status',
    description: 'say what of a cluster runs, where, and how much memory it takes',
    load: async () => (await import('./commands/status.command.ts')).statusCommand,
  },
  {
    name: 'kubeconfig',
    description: "print the administrator's kubeconfig",
    load: async () => (await import('./commands/kubeconfig.command.ts')).kubeconfigCommand,
  },
  {
    name: 'image',
    description: 'load images into the nodes of a cluster',
    load: async () => (await import('./commands/image.command.ts')).imageCommand,
  },
  {
    name: 'node',
    description: 'add, stop, start and delete nodes of a cluster on this machine',
    load: async () => (await import('./commands/node.command.ts')).nodeCommand,
  },
  {
    name: 'demo',
    description: 'three nodes on this machine and a small shop of microservices on them',
    load: async () => (await import('./commands/demo.command.ts')).demoCommand,
  },
  {
    name: 'backup',
    description: 'write a cluster into one file while it works; list and check such files',
    load: async () => (await import('./commands/backup.command.ts')).backupCommand,
  },
  {
    name: 'restore',
    description: 'bring a cluster back from a backup, here or on an empty machine',
    load: async () => (await import('./commands/restore.command.ts')).restoreCommand,
  },
  {
    name: 'doctor',
    description: 'say what this machine lacks',
    load: async () => (await import('./commands/doctor.command.ts')).doctorCommand,
  },
  {
    name: 'init',
    description: 'make this machine the control plane of a new cluster of several machines',
    load: async () => (await import('./commands/init.command.ts')).initCommand,
  },
  {
    name: 'join',
    description: 'make this machine a node of a cluster',
    load: async () => (await import('./commands/join.command.ts')).joinCommand,
  },
  {
    name: 'reset',
    description: 'take away what init or join made on this machine',
    load: async () => (await import('./commands/reset.command.ts')).resetCommand,
  },
  {
    name: 'token',
    description: 'make, list and delete the tokens with which machines join',
    load: async () => (await import('./commands/token.command.ts')).tokenCommand,
  },
  {
    name: 'certs',
    description: "check and renew this machine's certificates",
    load: async () => (await import('./commands/certs.command.ts')).certsCommand,
  },
  {
    name: 'upgrade',
    description: 'restart the components of this machine with the code of this package',
    load: async () => (await import('./commands/upgrade.command.ts')).upgradeCommand,
  },
  {
    name: 'server',
    description: 'run a control plane in the foreground',
    load: async () => (await import('./commands/server.command.ts')).serverCommand,
  },
  {
    name: 'apiserver',
    description: 'run an API server alone',
    load: async () => (await import('./commands/apiserver.command.ts')).apiserverCommand,
  },
  {
    name: 'controller-manager',
    description: 'run the controllers alone',
    load: async () => (await import('./commands/controller-manager.command.ts')).controllerManagerCommand,
  },
  {
    name: 'scheduler',
    description: 'run the scheduler alone',
    load: async () => (await import('./commands/scheduler.command.ts')).schedulerCommand,
  },
  {
    name: 'kubelet',
    description: 'run a kubelet alone, on a container runtime that runs already',
    load: async () => (await import('./commands/kubelet.command.ts')).kubeletCommand,
  },
  {
    name: 'proxy',
    description: "keep a node's rules of Services, alone",
    load: async () => (await import('./commands/proxy.command.ts')).proxyCommand,
  },
  {
    name: 'store',
    description: 'copy the data of a cluster between LMDB and etcd',
    load: async () => (await import('./commands/store.command.ts')).storeCommand,
  },
  {
    name: 'agent',
    description: 'run a node (kubelet, network, DNS) in the foreground',
    load: async () => (await import('./commands/agent.command.ts')).agentCommand,
  },
  {
    name: 'ingress',
    description: 'serve the Ingresses on a node in the foreground (the agent starts it)',
    load: async () => (await import('./commands/ingress.command.ts')).ingressCommand,
  },
  {
    name: 'supervise',
    description: "run this machine's components, and start again what ends (where systemd is not)",
    load: async () => (await import('./commands/supervise.command.ts')).superviseCommand,
  },
  {
    name: 'test',
    description: 'run the tests of this clone: check unit flow e2e (default: all)',
    load: async () => (await import('./commands/test.command.ts')).testCommand,
  },
];
