import { defineCommand } from '../command.ts';

export const ingressCommand = defineCommand('ingress', (command) => {
  command.requiredOption('--config <file>', 'configuration (JSON)').action(async (options: { config: string }) => {
    const { runIngress } = await import('#assembly');
    await runIngress(options.config);
  });
});
