import { defineCommand } from '../command.ts';

export const agentCommand = defineCommand('agent', (program) => {
  program
    .command('agent')
    .description('run a node (kubelet, network, DNS) in the foreground')
    .requiredOption('--config <file>', 'configuration (JSON)')
    .action(async (options: { config: string }) => {
      const { runAgent } = await import('#assembly');
      await runAgent(options.config);
    });
});
