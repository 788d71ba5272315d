import { defineCommand } from '../command.ts';

export const agentCommand = defineCommand('agent', (command) => {
  command.requiredOption('--config <file>', 'configuration (JSON)').action(async (options: { config: string }) => {
    const { runAgent } = await import('#assembly');
    await runAgent(options.config);
  });
});
