import { Option } from 'commander';
import { loadBackup, loadMachine, type MachineLayout } from '#admin';
import { environmentVariable, systemClock, systemRandom } from '#base';
import { defineCommand } from '../command.ts';
import { withExamples } from '../help.ts';
import { parseList, storeOf } from '../components/flags.ts';
import { type KeepingOptions, keepingAsked, withKeeping } from '../local/keeping.ts';
import { ownCommand } from '../local/programs.ts';
import { collectNames, defaultNodeName, withRoot } from '../machine/options.ts';
import { parseDurationMs, parsePort } from '../options.ts';
import { openProgress } from '../progress.ts';
import { version } from '../version.ts';

interface InitFlags extends KeepingOptions {
  root: string;
  apiserverAdvertiseAddress?: string;
  apiserverBindPort?: number;
  apiserverCertExtraSans: readonly string[];
  controlPlaneEndpoint?: string;
  podNetworkCidr?: string;
  cni?: 'k8ts' | 'none';
  networkMode?: 'auto' | 'routes' | 'vxlan';
  serviceCidr?: string;
  serviceDnsDomain?: string;
  nodeName?: string;
  criSocket?: string;
  token?: string;
  tokenTtl?: number;
  ignorePreflightErrors: readonly string[];
  config?: string;
  etcd?: 'local';
  etcdServers?: string[];
  etcdCafile?: string;
  etcdCertfile?: string;
  etcdKeyfile?: string;
  uploadCerts?: boolean;
  wait: number;
}

export const initCommand = defineCommand('init', (command) => {
  withExamples(command, [
    ['k8ts init', 'prints how to join'],
    ['k8ts init --apiserver-advertise-address=192.168.60.10', 'its address'],
  ]);
  withKeeping(withRoot(command))
    .option('--apiserver-advertise-address <address>', 'address by which the other machines reach this one')
    .option('--apiserver-bind-port <port>', 'port of the API (default: 6443)', parsePort)
    .option(
      '--apiserver-cert-extra-sans <names>',
      "more names and addresses in the API's certificate",
      collectNames,
      [],
    )
    .option('--control-plane-endpoint <host[:port]>', 'name or address of all control planes, if there will be several')
    .option('--pod-network-cidr <range>', 'addresses of pods (default: 10.244.0.0/16)')
    .addOption(
      new Option(
        '--cni <network>',
        'k8ts: nodes get their pod network at once; none: they wait for one that you apply as a manifest',
      ).choices(['k8ts', 'none']),
    )
    .addOption(
      new Option(
        '--network-mode <mode>',
        'how pods of other nodes are reached: routes, vxlan, or auto (default: routes on one link, else vxlan)',
      ).choices(['auto', 'routes', 'vxlan']),
    )
    .option('--service-cidr <range>', 'addresses of Services (default: 10.96.0.0/12)')
    .option('--service-dns-domain <domain>', 'domain of Services (default: cluster.local)')
    .option('--node-name <name>', "name of this machine's node (default: its host name)")
    .option('--cri-socket <path>', 'use the container runtime that listens there, instead of a containerd of its own')
    .addOption(
      new Option('--etcd <where>', 'local: keep the data in etcd, which other control planes can join').choices([
        'local',
      ]),
    )
    .option('--etcd-servers <urls>', 'keep the data in an etcd that runs elsewhere', parseList)
    .option('--etcd-cafile <file>', "authority of that etcd's certificates")
    .option('--etcd-certfile <file>', 'certificate shown to it')
    .option('--etcd-keyfile <file>', 'its key')
    .option('--upload-certs', 'put what control planes share into the cluster, encrypted, for two hours')
    .option('--token <token>', 'the token with which machines join (default: a new one)')
    .option('--token-ttl <duration>', 'how long the token counts, 0: for ever (default: 24h)', parseDurationMs)
    .option('--ignore-preflight-errors <names>', 'findings that do not matter: NumCPU,Swap or all', collectNames, [])
    .option('--config <file>', "kubeadm's InitConfiguration and ClusterConfiguration")
    .option('--wait <duration>', 'how long to wait for the control plane', parseDurationMs, 120_000)
    .action((flags: InitFlags) => init(flags));
});

async function init(flags: InitFlags): Promise<void> {
  const machine = await loadMachine();
  const telling = openProgress();
  const file = flags.config === undefined ? undefined : machine.readKubeadmConfig(flags.config);
  for (const one of file?.warnings ?? []) telling.say(`[WARNING config] ${one}`);
  const cluster = {
    ...machine.defaultCluster,
    ...file?.cluster,
    ...(flags.controlPlaneEndpoint === undefined ? {} : { controlPlaneEndpoint: flags.controlPlaneEndpoint }),
    ...(flags.podNetworkCidr === undefined ? {} : { podCidr: flags.podNetworkCidr }),
    ...(flags.cni === 'none' ? { cni: flags.cni } : {}),
    ...(flags.networkMode === undefined || flags.networkMode === 'auto' ? {} : { networkMode: flags.networkMode }),
    ...(flags.serviceCidr === undefined ? {} : { serviceCidr: flags.serviceCidr }),
    ...(flags.serviceDnsDomain === undefined ? {} : { dnsDomain: flags.serviceDnsDomain }),
    certSans: [...(file?.cluster.certSans ?? []), ...flags.apiserverCertExtraSans],
  };
  const address =
    flags.apiserverAdvertiseAddress ??
    file?.advertiseAddress ??
    (await machine.defaultAddress('--apiserver-advertise-address'));
  const criSocket = flags.criSocket ?? file?.node.criSocket;
  if (flags.auditPolicyFile !== undefined) await (await import('#assembly')).checkAuditPolicy(flags.auditPolicyFile);
  if (cluster.openId !== undefined) await (await import('#assembly')).checkOpenId(cluster.openId);
  if (flags.etcd === 'local') machine.requireEtcd(environmentVariable('PATH') ?? '');
  const { adminConf, joinCommand } = await machine.initMachine({
    root: flags.root,
    cluster,
    node: {
      nodeName: flags.nodeName ?? file?.node.nodeName ?? defaultNodeName(),
      address,
      labels: file?.node.labels ?? {},
      ...(file?.node.taints === undefined ? {} : { taints: file.node.taints }),
      ...(file?.node.limits === undefined ? {} : { limits: file.node.limits }),
      ...(criSocket === undefined ? {} : { criSocket: criSocket.replace(/^unix:\/\//, '') }),
    },
    port: flags.apiserverBindPort ?? file?.bindPort ?? machine.defaultApiPort,
    tokens: await tokensOf(flags, file?.tokens ?? []),
    ignorePreflightErrors: [...flags.ignorePreflightErrors, ...(file?.node.ignorePreflightErrors ?? [])],
    ...{ ownCommand, version, clock: systemClock, random: systemRandom, telling, timeoutMs: flags.wait },
    ...(flags.etcd === undefined ? {} : { etcd: flags.etcd }),
    bringData: async (layout) => ({ ...externalStore(flags), ...(await keep(layout, cluster.clusterName, flags)) }),
  });
  const certificateKey = flags.uploadCerts === true ? await upload(flags.root) : undefined;
  process.stdout.write(`
The control plane is ready. As a regular user, to reach it:

  mkdir -p $HOME/.kube
  sudo cp -i ${adminConf} $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

As root, on every machine that is to join:

  ${joinCommand ?? '(no token was made: k8ts token create --print-join-command)'}
${certificateKey === undefined ? '' : `\nOn every machine that is to be a control plane too, within two hours, the same line and:\n\n  --control-plane --certificate-key ${certificateKey}\n`}`);
}

/** An etcd that somebody else runs. */
function externalStore(flags: InitFlags): object {
  if (flags.etcdServers === undefined) return {};
  return { ...storeOf({ ...flags, etcdServers: flags.etcdServers }) };
}

async function upload(root: string): Promise<string> {
  const { machineLayout, openAdmin, uploadCertificates } = await loadMachine();
  const { client, close } = await openAdmin({ root });
  try {
    return await uploadCertificates({ layout: machineLayout(root), client, clock: systemClock, random: systemRandom });
  } finally {
    await close();
  }
}

/** What the server is told of history, snapshots and the audit log. */
async function keep(layout: MachineLayout, cluster: string, flags: InitFlags): Promise<object> {
  const { machineAuditPolicyFile, planMachineKeeping } = await loadBackup();
  const { keeping } = await keepingAsked(machineAuditPolicyFile(layout.root), undefined, flags);
  return keeping === undefined ? {} : planMachineKeeping(layout, keeping, { cluster, version });
}

/** The token of the command line, those of the configuration, or a new one. */
async function tokensOf(
  flags: InitFlags,
  inFile: readonly {
    token?: string;
    ttl?: string;
    description?: string;
    usages?: readonly string[];
    groups?: readonly string[];
  }[],
) {
  const { defaultTokenTtlMs, generateToken, parseToken } = await loadMachine();
  const fresh = (text: string | undefined) => (text === undefined ? generateToken(systemRandom) : parseToken(text));
  const ttlOf = (text: string | undefined): number =>
    flags.tokenTtl ?? (text === undefined ? defaultTokenTtlMs : parseDurationMs(text.replace(/(?<=\D)0m0s$/, '')));
  const asked = flags.token !== undefined || inFile.length === 0 ? [{ token: flags.token }] : inFile;
  return asked.map(({ token, ...more }: (typeof inFile)[number]) => ({
    token: fresh(token),
    ttlMs: ttlOf(more.ttl),
    description: more.description ?? 'made by k8ts init',
    ...(more.usages === undefined ? {} : { usages: more.usages }),
    ...(more.groups === undefined ? {} : { groups: more.groups }),
  }));
}
