import { listClusters } from '#admin';
import { defineCommand } from '../command.ts';
import { layoutOf } from '../local/options.ts';
import { isRoot } from '../local/programs.ts';
import { reportOf } from '../local/report.ts';
import { parseOutput } from '../options.ts';
import { mebibytes, printJson, printTable } from '../print.ts';

export const listCommand = defineCommand('list', (command) => {
  command.option('-o, --output <format>', 'json', parseOutput).action((options: { output?: 'json' }) => {
    const reports = listClusters(isRoot()).map((state) => reportOf(layoutOf(state), state));
    if (options.output === 'json') return printJson(reports);
    if (reports.length === 0) return void process.stderr.write('No clusters. k8ts up starts one.\n');
    const rows = reports.map((one) => [
      one.name,
      one.status,
      String(one.nodes.length),
      String(one.simulated),
      one.api,
      mebibytes(one.processes.reduce((sum, process) => sum + process.residentBytes, 0)),
      one.createdAt,
    ]);
    printTable([['NAME', 'STATUS', 'NODES', 'SIMULATED', 'API', 'MEMORY', 'CREATED'], ...rows]);
  });
});
