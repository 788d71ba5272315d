import { defineCommand } from '../command.ts';

export const serverCommand = defineCommand('server', (command) => {
  command.requiredOption('--config <file>', 'configuration (JSON)').action(async (options: { config: string }) => {
    const { runServer } = await import('#assembly');
    await runServer(options.config);
  });
});
