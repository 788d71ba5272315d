import { loadMachine } from '#admin';
import { CodedError, systemClock } from '#base';
import { defineCommand } from '../command.ts';
import { ownCommand } from '../local/programs.ts';
import { withRoot } from '../machine/options.ts';
import { parseDurationMs, parseOutput } from '../options.ts';
import { printJson, printTable } from '../print.ts';
import { openProgress } from '../progress.ts';
import { version } from '../version.ts';

interface UpgradeFlags {
  root: string;
  output?: 'json';
  force?: boolean;
  wait: number;
}

export const upgradeCommand = defineCommand('upgrade', (command) => {
  withRoot(command.command('plan').description('say what runs and what this package would run instead'))
    .option('-o, --output <format>', 'json', parseOutput)
    .action(plan);
  for (const [name, description] of [
    ['apply', "restart this control plane's components with the code of this package"],
    ['node', "restart this node's components with the code of this package"],
  ] as const) {
    withRoot(command.command(name).description(description))
      .option('-f, --force', 'also when it is the same version, or an older one')
      .option('--wait <duration>', 'how long to wait for each part', parseDurationMs, 120_000)
      .action((flags: UpgradeFlags) => apply(name, flags));
  }
});

async function plan(flags: UpgradeFlags): Promise<void> {
  const { planUpgrade } = await loadMachine();
  const found = await planUpgrade({ root: flags.root, version });
  if (flags.output === 'json') return printJson(found);
  printTable([
    ['PART', 'CURRENT', 'TARGET'],
    ['control plane', found.serving, found.target],
    ['cluster (recorded)', found.recorded, found.target],
    ['this machine', found.machine, found.target],
    ...found.nodes.map((one) => [`node ${one.name}`, one.kubeletVersion, '']),
  ]);
  const words = {
    newer: 'k8ts upgrade apply, here, then k8ts upgrade node on the others, each with this package installed.',
    same: 'The cluster runs this version: there is nothing to do.',
    older: `This package is older than what runs: install ${found.recorded} or newer.`,
  };
  process.stdout.write(`\n${words[found.direction]}\n`);
}

async function apply(verb: 'apply' | 'node', flags: UpgradeFlags): Promise<void> {
  const { machineLayout, requireRecord, upgradeMachine } = await loadMachine();
  const { role } = requireRecord(machineLayout(flags.root));
  if (verb === 'apply' && role === 'worker')
    throw new CodedError(
      'NoControlPlane',
      'this machine is no control plane: k8ts upgrade node upgrades it, after those',
    );
  const done = await upgradeMachine({
    ...{ root: flags.root, version, ownCommand, clock: systemClock, telling: openProgress() },
    ...{ force: flags.force === true, timeoutMs: flags.wait },
  });
  process.stdout.write(done ? `This machine runs ${version}.\n` : `This machine runs ${version} already.\n`);
}
