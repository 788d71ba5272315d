import { systemClock } from '#base';
import { defineCommand } from '../command.ts';
import { withExamples } from '../help.ts';
import { etcdTlsOf, type StoreOptions, withEtcdTls } from '../components/flags.ts';
import { parseOutput } from '../options.ts';

interface CopyFlags extends StoreOptions {
  from: string;
  to: string;
  output?: 'json';
}

export const storeCommand = defineCommand('store', (command) => {
  const copy = command
    .command('copy')
    .description('copy the data of a cluster, whose control plane is stopped, into an empty store')
    .requiredOption('--from <store>', 'lmdb:DIR or etcd:URL[,URL]')
    .requiredOption('--to <store>', 'lmdb:DIR or etcd:URL[,URL]; must be empty');
  withExamples(copy, [['k8ts store copy --from lmdb:DIR --to etcd:http://10.0.0.9:2379', 'to etcd']]);
  withEtcdTls(copy)
    .option('-o, --output <format>', 'json', parseOutput)
    .action(async (options: CopyFlags) => {
      const { loadCopyStore } = await import('#assembly');
      const { copyStore } = await loadCopyStore();
      const tls = etcdTlsOf(options);
      const copied = await copyStore({
        from: { store: options.from, ...tls },
        to: { store: options.to, ...tls },
        clock: systemClock,
      });
      process.stdout.write(
        options.output === 'json'
          ? `${JSON.stringify(copied)}\n`
          : `${copied.objects} objects of revision ${copied.fromRevision} are in ${options.to}, which is at revision ${copied.toRevision}\n`,
      );
    });
});
