import { defineCommand } from '../command.ts';

export const serverCommand = defineCommand('server', (program) => {
  program
    .command('server')
    .description('run a control plane in the foreground')
    .requiredOption('--config <file>', 'configuration (JSON)')
    .action(async (options: { config: string }) => {
      const { runServer } = await import('#assembly');
      await runServer(options.config);
    });
});
