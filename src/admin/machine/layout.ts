import { join } from 'node:path';
import { CodedError } from '#base';
import { shortId } from '../local/layout.ts';

/** Where everything of one machine of a cluster lives: kubeadm's places, all below `root`. */
export interface MachineLayout {
  /** `/` unless `--root`. */
  readonly root: string;
  readonly etcDir: string;
  readonly pkiDir: string;
  readonly adminConf: string;
  readonly superAdminConf: string;
  readonly controllerManagerConf: string;
  readonly schedulerConf: string;
  readonly kubeletConf: string;
  /** What the parts of this machine are told: machine.json, server.json, agent.json, supervisor.json. */
  readonly configDir: string;
  readonly recordFile: string;
  readonly kubeletDir: string;
  /** Certificate and key of the kubelet as a client, in one file. */
  readonly clientCertificate: string;
  readonly servingCert: string;
  readonly servingKey: string;
  readonly dataDir: string;
  readonly storeDir: string;
  readonly containerdDir: string;
  readonly certsDir: string;
  /** Lost when the machine restarts. */
  readonly runDir: string;
  readonly containerdSocket: string;
  readonly cniConfDir: string;
  /** Where a network that someone applies puts its plugins. */
  readonly cniBinDir: string;
  readonly cniStateDir: string;
  readonly logDir: string;
  readonly podLogsDir: string;
  readonly containerLogsDir: string;
  /** Path in the control group hierarchy below which pods and this machine's daemons run. */
  readonly cgroup: string;
}

/** A path of a Unix socket has room for 107 characters. */
const longestRoot = 75;

export function machineLayout(root: string): MachineLayout {
  if (!root.startsWith('/')) throw new CodedError('WrongUsage', `--root ${root} is not an absolute path`);
  if (root.length > longestRoot) {
    throw new CodedError(
      'WrongUsage',
      `--root ${root} is longer than ${longestRoot} characters: sockets would not fit`,
    );
  }
  const at = (...parts: string[]): string => join(root, ...parts);
  const etc = (...parts: string[]): string => at('etc/kubernetes', ...parts);
  const kubelet = (...parts: string[]): string => at('var/lib/kubelet', ...parts);
  return {
    root,
    etcDir: etc(),
    pkiDir: etc('pki'),
    adminConf: etc('admin.conf'),
    superAdminConf: etc('super-admin.conf'),
    controllerManagerConf: etc('controller-manager.conf'),
    schedulerConf: etc('scheduler.conf'),
    kubeletConf: etc('kubelet.conf'),
    configDir: etc('k8ts'),
    recordFile: etc('k8ts', 'machine.json'),
    kubeletDir: kubelet(),
    clientCertificate: kubelet('pki', 'kubelet-client-current.pem'),
    servingCert: kubelet('pki', 'kubelet.crt'),
    servingKey: kubelet('pki', 'kubelet.key'),
    dataDir: at('var/lib/kubernetes'),
    storeDir: at('var/lib/kubernetes/store'),
    containerdDir: at('var/lib/kubernetes/containerd'),
    certsDir: etc('certs.d'),
    runDir: at('run/kubernetes'),
    containerdSocket: at('run/kubernetes/containerd.sock'),
    cniConfDir: at('etc/cni/net.d'),
    cniBinDir: at('opt/cni/bin'),
    cniStateDir: at('run/kubernetes/cni'),
    logDir: at('var/log/kubernetes'),
    podLogsDir: at('var/log/pods'),
    containerLogsDir: at('var/log/containers'),
    cgroup: root === '/' ? '/k8ts/machine' : `/k8ts/machine-${shortId(root)}`,
  };
}
