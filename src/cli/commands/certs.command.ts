import { loadMachine } from '#admin';
import { rfc3339, systemClock, systemRandom } from '#base';
import { defineCommand } from '../command.ts';
import { withRoot } from '../machine/options.ts';
import { parseOutput } from '../options.ts';
import { printJson, printTable } from '../print.ts';

export const certsCommand = defineCommand('certs', (command) => {
  withRoot(command.command('check').alias('check-expiration').description('say when certificates end'))
    .option('-o, --output <format>', 'json', parseOutput)
    .action(check);
  withRoot(
    command
      .command('renew <names...>')
      .description(
        'issue certificates again (they are renewed by themselves in the last third of their life): all, or names of certs check',
      ),
  ).action(renew);
  withRoot(
    command
      .command('upload')
      .description('put what control planes share into the cluster, encrypted, for two hours; prints the key'),
  ).action(upload);
});

async function upload(flags: { root: string }): Promise<void> {
  const { machineLayout, openAdmin, uploadCertificates } = await loadMachine();
  const admin = await openAdmin({ root: flags.root });
  try {
    const { client } = admin;
    const layout = machineLayout(flags.root);
    const key = await uploadCertificates({ layout, client, clock: systemClock, random: systemRandom });
    process.stdout.write(`${key}\n`);
  } finally {
    await admin.close();
  }
}

async function check(flags: { root: string; output?: 'json' }): Promise<void> {
  const { checkCertificates } = await loadMachine();
  const found = checkCertificates(flags.root, systemClock);
  if (flags.output === 'json') {
    const rows = found.map(({ expiresMs, residualMs, ...more }) => ({
      ...more,
      expires: rfc3339(expiresMs),
      residualSeconds: Math.floor(residualMs / 1000),
    }));
    return printJson(rows);
  }
  const row = (one: (typeof found)[number]): string[] => [
    one.name,
    rfc3339(one.expiresMs),
    residual(one.residualMs),
    one.authority,
  ];
  printTable([
    ['CERTIFICATE', 'EXPIRES', 'RESIDUAL TIME', 'AUTHORITY'],
    ...found.filter((one) => !one.isAuthority).map(row),
  ]);
  process.stdout.write('\n');
  printTable([
    ['AUTHORITY', 'EXPIRES', 'RESIDUAL TIME'],
    ...found.filter((one) => one.isAuthority).map((one) => row(one).slice(0, 3)),
  ]);
}

/** 364d, 9y: as kubeadm. */
function residual(ms: number): string {
  if (ms <= 0) return '<expired>';
  const days = Math.floor(ms / 86_400_000);
  if (days >= 730) return `${Math.floor(days / 365)}y`;
  return days > 0 ? `${days}d` : `${Math.floor(ms / 3_600_000)}h`;
}

async function renew(names: readonly string[], flags: { root: string }): Promise<void> {
  const { renewCertificates } = await loadMachine();
  for (const name of await renewCertificates({ root: flags.root, names, clock: systemClock }))
    process.stdout.write(`${name} renewed\n`);
}
