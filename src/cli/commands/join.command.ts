import { loadMachine } from '#admin';
import { CodedError, environmentVariable, systemClock, systemRandom } from '#base';
import { defineCommand } from '../command.ts';
import { ownCommand } from '../local/programs.ts';
import { collectNames, defaultNodeName, withRoot } from '../machine/options.ts';
import { parseDurationMs, parsePort } from '../options.ts';
import { openProgress } from '../progress.ts';
import { version } from '../version.ts';

interface JoinFlags {
  root: string;
  token?: string;
  discoveryToken?: string;
  tlsBootstrapToken?: string;
  discoveryTokenCaCertHash: readonly string[];
  discoveryTokenUnsafeSkipCaVerification?: boolean;
  nodeName?: string;
  nodeIp?: string;
  nodeLabels?: string;
  criSocket?: string;
  ignorePreflightErrors: readonly string[];
  config?: string;
  controlPlane?: boolean;
  certificateKey?: string;
  apiserverAdvertiseAddress?: string;
  apiserverBindPort?: number;
  wait: number;
}

export const joinCommand = defineCommand('join', (command) => {
  withRoot(command)
    .argument('[address:port]', 'where the API of the cluster is')
    .option('--token <token>', 'a token of the cluster (k8ts token create)')
    .option('--discovery-token <token>', 'the token for discovery, when it is another one')
    .option('--tls-bootstrap-token <token>', 'the token for the certificate, when it is another one')
    .option('--discovery-token-ca-cert-hash <hash>', "hash of the cluster's CA, sha256:…", collectNames, [])
    .option('--discovery-token-unsafe-skip-ca-verification', 'trust whoever knows the token')
    .option('--node-name <name>', "name of this machine's node (default: its host name)")
    .option('--node-ip <address>', 'address by which the other machines reach this one')
    .option('--node-labels <labels>', 'labels of the node: a=b,c=d')
    .option('--cri-socket <path>', 'use the container runtime that listens there, instead of a containerd of its own')
    .option('--control-plane', 'be one more control plane (of a cluster of k8ts init --etcd=local)')
    .option('--certificate-key <key>', 'opens the certificates that control planes share (k8ts certs upload)')
    .option('--apiserver-advertise-address <address>', 'the same as --node-ip, for a control plane')
    .option('--apiserver-bind-port <port>', 'port of the API on this machine (default: 6443)', parsePort)
    .option('--ignore-preflight-errors <names>', 'findings that do not matter: Swap or all', collectNames, [])
    .option('--config <file>', "kubeadm's JoinConfiguration")
    .option('--wait <duration>', 'how long to wait for the node to be ready', parseDurationMs, 120_000)
    .action((endpoint: string | undefined, flags: JoinFlags) => join(endpoint, flags));
});

async function join(given: string | undefined, flags: JoinFlags): Promise<void> {
  const machine = await loadMachine();
  const telling = openProgress();
  const file = flags.config === undefined ? undefined : machine.readKubeadmConfig(flags.config);
  for (const one of file?.warnings ?? []) telling.say(`[WARNING config] ${one}`);
  const endpoint = given ?? file?.join?.endpoint;
  const anew = 'k8ts token create --print-join-command, on a control plane, prints the whole line';
  if (endpoint === undefined) throw new CodedError('WrongUsage', `where is the cluster? ${anew}`);
  if (!/^(\[[0-9a-fA-F:]+\]|[\w.-]+)(:\d{1,5})?$/.test(endpoint))
    throw new CodedError('WrongUsage', `${endpoint} is not an address and a port, as 192.168.1.10:6443`);
  const token = flags.token ?? flags.discoveryToken ?? file?.join?.token;
  if (token === undefined) throw new CodedError('WrongUsage', `a token is missing (--token): ${anew}`);
  const hashes = [...flags.discoveryTokenCaCertHash, ...(file?.join?.caCertHashes ?? [])];
  for (const one of hashes) {
    if (!/^sha256:[0-9a-fA-F]{64}$/.test(one))
      throw new CodedError('WrongUsage', `${one} is not sha256: and 64 hexadecimal digits: ${anew}`);
  }
  const skip = flags.discoveryTokenUnsafeSkipCaVerification ?? file?.join?.skipCaVerification ?? false;
  if (hashes.length === 0 && !skip)
    throw new CodedError(
      'WrongUsage',
      `the hash of the cluster's CA is missing (--discovery-token-ca-cert-hash): ${anew}`,
    );
  const criSocket = flags.criSocket ?? file?.node.criSocket;
  const nodeName = flags.nodeName ?? file?.node.nodeName ?? defaultNodeName();
  const options: Parameters<typeof machine.joinMachine>[0] = {
    root: flags.root,
    endpoint: machine.withPort(endpoint, machine.defaultApiPort),
    token: machine.parseToken(token),
    caCertHashes: hashes,
    node: {
      nodeName,
      address: flags.nodeIp ?? flags.apiserverAdvertiseAddress ?? (await machine.defaultAddress('--node-ip')),
      labels: { ...file?.node.labels, ...machine.parseLabels(flags.nodeLabels ?? '') },
      ...(file?.node.taints === undefined ? {} : { taints: file.node.taints }),
      ...(file?.node.limits === undefined ? {} : { limits: file.node.limits }),
      ...(criSocket === undefined ? {} : { criSocket: criSocket.replace(/^unix:\/\//, '') }),
    },
    ignorePreflightErrors: [...flags.ignorePreflightErrors, ...(file?.node.ignorePreflightErrors ?? [])],
    ...{ ownCommand, version, clock: systemClock, random: systemRandom, telling, timeoutMs: flags.wait },
  };
  if (flags.controlPlane !== true && file?.join?.controlPlane !== true) await machine.joinMachine(options);
  else {
    if (flags.certificateKey === undefined)
      throw new CodedError(
        'WrongUsage',
        'a control plane needs --certificate-key: k8ts certs upload, on a control plane, prints one',
      );
    await machine.joinControlPlane({
      ...options,
      certificateKey: machine.parseCertificateKey(flags.certificateKey),
      port: flags.apiserverBindPort ?? file?.bindPort ?? machine.defaultApiPort,
      path: environmentVariable('PATH') ?? '',
    });
  }
  process.stdout.write(`\nThis machine is in the cluster as ${nodeName}. On a control plane: kubectl get nodes\n`);
}
