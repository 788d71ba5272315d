import { defineCommand } from '../command.ts';
import { supervise } from '../machine/supervise.ts';

export const superviseCommand = defineCommand('supervise', (command) => {
  command
    .requiredOption('--config <file>', 'what to run: /etc/kubernetes/k8ts/supervisor.json')
    .action((flags: { config: string }) => supervise(flags.config));
});
