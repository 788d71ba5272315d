import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { loadMachine } from '#admin';
import type { Secret } from '#api';
import { resource } from '#api';
import { CodedError, systemClock, systemRandom } from '#base';
import { isNotFound } from '#machinery';
import { defineCommand } from '../command.ts';
import { collectNames, withRoot } from '../machine/options.ts';
import { parseDurationMs, parseOutput } from '../options.ts';
import { printJson, printTable } from '../print.ts';

interface TokenFlags {
  root: string;
  kubeconfig?: string;
  ttl: number;
  description?: string;
  usages?: readonly string[];
  groups?: readonly string[];
  printJoinCommand?: boolean;
  output?: 'json';
}

const secrets = resource('v1', 'secrets');

function withAdmin(command: Command): Command {
  return withRoot(command).option('--kubeconfig <file>', "an administrator's kubeconfig (default: this machine's)");
}

export const tokenCommand = defineCommand('token', (command) => {
  withAdmin(command.command('create [token]').description('make a token with which machines join'))
    .option('--ttl <duration>', 'how long it counts, 0: for ever', parseDurationMs, 24 * 3_600_000)
    .option('--description <text>', 'what it is for')
    .option('--usages <list>', 'signing, authentication (default: both)', (text) => collectNames(text, []))
    .option('--groups <list>', 'groups of who has it', (text) => collectNames(text, []))
    .option('--print-join-command', 'print the whole line that makes a machine join')
    .action(create);
  withAdmin(command.command('list').description('list the tokens of the cluster'))
    .option('-o, --output <format>', 'json', parseOutput)
    .action(list);
  withAdmin(
    command.command('delete <token...>').description('delete tokens, by their first six characters or whole'),
  ).action(remove);
  command
    .command('generate')
    .description('print a random token, and make nothing')
    .action(async () => {
      const { generateToken, tokenText } = await loadMachine();
      process.stdout.write(`${tokenText(generateToken(systemRandom))}\n`);
    });
});

async function create(text: string | undefined, flags: TokenFlags): Promise<void> {
  const machine = await loadMachine();
  const token = text === undefined ? machine.generateToken(systemRandom) : machine.parseToken(text);
  const { file, client, close } = await machine.openAdmin(flags);
  try {
    const { ttl, description, usages, groups } = flags;
    const wishes = {
      ...{ token, ttlMs: ttl },
      ...(description === undefined ? {} : { description }),
      ...(usages === undefined ? {} : { usages }),
      ...(groups === undefined ? {} : { groups }),
    };
    await machine.createToken(client, wishes, systemClock.nowMs());
    if (flags.printJoinCommand !== true) {
      process.stdout.write(`${machine.tokenText(token)}\n`);
      return;
    }
    const { kubeconfigCredentials, kubeconfigTarget, parseKubeconfig } = await import('#client');
    const target = kubeconfigTarget(parseKubeconfig(readFileSync(file, 'utf8')));
    const { ca } = await kubeconfigCredentials(target, '/');
    if (ca === undefined)
      throw new CodedError('Kubeconfig', `${file} has no certificate authority to print the hash of`);
    const endpoint = target.cluster.server.replace(/^https:\/\//, '').replace(/\/$/, '');
    process.stdout.write(`${machine.joinCommand({ endpoint, token, ca })}\n`);
  } finally {
    await close();
  }
}

async function list(flags: TokenFlags): Promise<void> {
  const machine = await loadMachine();
  const { client, close } = await machine.openAdmin(flags);
  try {
    const { items } = await client.list<Secret>(secrets, {
      namespace: 'kube-system',
      fieldSelector: `type=${machine.tokenSecretType}`,
    });
    const tokens = items.map((one) => machine.listedToken(one));
    if (flags.output === 'json') return printJson(tokens);
    const rows = tokens.map((one) => [
      one.token,
      one.expires ?? '<forever>',
      one.usages.join(','),
      one.description || '<none>',
      one.groups.join(','),
    ]);
    printTable([['TOKEN', 'EXPIRES', 'USAGES', 'DESCRIPTION', 'GROUPS'], ...rows]);
  } finally {
    await close();
  }
}

async function remove(tokens: readonly string[], flags: TokenFlags): Promise<void> {
  const machine = await loadMachine();
  const ids = tokens.map((text) => (/^[a-z0-9]{6}$/.test(text) ? text : machine.parseToken(text).id));
  const { client, close } = await machine.openAdmin(flags);
  try {
    for (const id of ids) {
      await client.delete(secrets, `bootstrap-token-${id}`, { namespace: 'kube-system' }).catch((error) => {
        if (isNotFound(error))
          throw new CodedError('NoToken', `there is no token ${id}: k8ts token list shows those there are`);
        throw error;
      });
      process.stdout.write(`token ${id} deleted\n`);
    }
  } finally {
    await close();
  }
}
