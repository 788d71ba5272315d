import { defineCommand } from '../command.ts';
import { type ElectionOptions, electionOf, withElection } from '../components/flags.ts';

interface Flags extends ElectionOptions {
  kubeconfig: string;
  schedulerName?: string;
}

export const schedulerCommand = defineCommand('scheduler', (command) => {
  withElection(command.requiredOption('--kubeconfig <file>', 'how to reach the API'))
    .option('--scheduler-name <name>', 'schedules the pods with this spec.schedulerName (default: default-scheduler)')
    .action(async (options: Flags) => {
      const { runComponent } = await import('#assembly');
      const { kubeconfig, schedulerName } = options;
      await runComponent({
        name: 'scheduler',
        flags: { kubeconfig, ...electionOf(options), ...(schedulerName === undefined ? {} : { schedulerName }) },
      });
    });
});
