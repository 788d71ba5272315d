import { requireState } from '#admin';
import { defineCommand } from '../command.ts';
import { type ClusterOptions, layoutOf, withCluster } from '../local/options.ts';
import { reportOf } from '../local/report.ts';
import { parseOutput } from '../options.ts';
import { mebibytes, printJson, printTable } from '../print.ts';

export const statusCommand = defineCommand('status', (command) => {
  withCluster(command)
    .option('-o, --output <format>', 'json', parseOutput)
    .action((options: ClusterOptions & { output?: 'json' }) => {
      const layout = layoutOf(options);
      const report = reportOf(layout, requireState(layout));
      if (options.output === 'json') return printJson(report);
      process.stdout.write(
        `Cluster ${report.name}: ${report.status}\nAPI     ${report.api}\nData    ${report.dataDir}\nCreated ${report.createdAt}\n`,
      );
      if (report.simulated > 0) process.stdout.write(`Simulated nodes: ${report.simulated}\n`);
      if (report.nodes.length > 0) {
        process.stdout.write('\n');
        printTable([['NODE', 'ADDRESS', 'STATUS'], ...report.nodes.map((one) => [one.name, one.address, one.status])]);
      }
      if (report.processes.length > 0) {
        process.stdout.write('\n');
        const rows = report.processes.map((one) => [one.name, one.node, String(one.pid), mebibytes(one.residentBytes)]);
        printTable([['PROCESS', 'NODE', 'PID', 'MEMORY'], ...rows]);
      }
      if (report.status !== 'running') process.exitCode = 1;
    });
});
