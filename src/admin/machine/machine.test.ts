import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signDetached } from '../../controllers/bootstrap-tokens/bootstrap-tokens.controller.ts';
import type { AgentConfiguration, ServerConfiguration } from '#assembly';
import { seededRandom } from '#base';
import { addressAt, overlap } from './addresses.ts';
import { generateToken, isSignedWith, listedToken, parseToken, planTokenSecret, tokenText } from './bootstrap-token.ts';
import { planAgentConfiguration, planComponents, planServerConfiguration, systemdUnit } from './components.ts';
import { parseClusterConfiguration, parseKubeadmConfig, printClusterConfiguration } from './kubeadm-config.ts';
import { machineLayout } from './layout.ts';
import { planRemoval } from './remove-files.ts';
import { defaultCluster, withPort } from './settings.ts';
import { compareVersions } from './upgrade.ts';

const ownCommand = (verb: string, ...args: string[]) => ({
  program: '/usr/bin/node',
  args: ['main.js', verb, ...args],
});

test('ranges and addresses', () => {
  assert.equal(addressAt('10.96.0.0/12', 10), '10.96.0.10');
  assert.equal(addressAt('10.96.255.250/12', 257), '10.96.1.1');
  assert.equal(overlap('10.244.0.0/16', '10.244.255.255'), true);
  assert.equal(overlap('10.244.0.0/16', '10.245.0.0/16'), false);
  assert.equal(overlap('10.244.0.0/16', '10.0.0.0/8'), true);
  assert.equal(withPort('10.0.0.1', 6443), '10.0.0.1:6443');
  assert.equal(withPort('cluster.example:7443', 6443), 'cluster.example:7443');
});

test('the settings of server and agent are what those programs read', () => {
  const layout = machineLayout('/m');
  const node = { nodeName: 'master', address: '192.168.60.10', labels: {} };
  const cluster = { ...defaultCluster, certSans: ['cluster.example', '10.9.9.9'] };
  const server = planServerConfiguration({
    ...{ layout, cluster, node, port: 6443, store: 'lmdb:/m/var/lib/kubernetes/store', version: '1.0.0' },
  }) satisfies ServerConfiguration;
  assert.deepEqual(server.certificateNames, ['master', 'cluster.example']);
  assert.deepEqual(server.certificateAddresses, ['192.168.60.10', '10.96.0.1', '10.9.9.9']);
  const agent = planAgentConfiguration({
    ...{ layout, cluster, node, controlPlane: true, uplink: 'eth0', cniBinDir: '/usr/lib/cni', dnsUpstreams: [] },
  }) satisfies AgentConfiguration;
  assert.equal(agent.clusterDns, '10.96.0.10');
  assert.deepEqual(agent.taints, [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }]);
  for (const path of [agent.kubeletDir, agent.containerd.socket, server.pkiDir]) assert.match(path, /^\/m\//);
});

test('a unit of systemd: started again for ever, alone in being stopped; only the control plane takes new certificates at a signal', () => {
  const [server, agent] = planComponents(machineLayout('/'), 'control-plane', ownCommand);
  assert.ok(server && agent);
  assert.equal(
    systemdUnit({ ...server, program: '/opt/my node/bin/node' }),
    `[Unit]
Description=Kubernetes control plane (k8ts server)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart="/opt/my node/bin/node" main.js server --config /etc/kubernetes/k8ts/server.json
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
`,
  );
  assert.doesNotMatch(systemdUnit(agent), /ExecReload/);
  assert.deepEqual(
    planComponents(machineLayout('/'), 'worker', ownCommand).map((one) => one.name),
    ['agent'],
  );
});

test('a token: form, Secret, signature', () => {
  const token = generateToken(seededRandom(3));
  assert.deepEqual(parseToken(tokenText(token)), token);
  for (const bad of ['', 'abcdef', 'abcdef.short', 'ABCDEF.0123456789abcdef', 'abcdef.0123456789abcdeF'])
    assert.throws(() => parseToken(bad), { code: 'WrongUsage' });
  const secret = planTokenSecret({ token, ttlMs: 3_600_000, description: 'x' }, Date.UTC(2026, 0, 1));
  assert.deepEqual(listedToken(secret as never), {
    token: tokenText(token),
    expires: '2026-01-01T01:00:00Z',
    usages: ['authentication', 'signing'],
    groups: ['system:bootstrappers:kubeadm:default-node-token'],
    description: 'x',
  });
  assert.throws(() => planTokenSecret({ token, ttlMs: 0, groups: ['system:masters'] }, 0), { code: 'WrongUsage' });
  const jws = signDetached('content', token.id, token.secret);
  assert.equal(isSignedWith(token, jws, 'content'), true);
  assert.equal(isSignedWith(token, jws, 'other'), false);
  assert.equal(isSignedWith({ ...token, secret: 'x'.repeat(16) }, jws, 'content'), false);
  const none = Buffer.from(JSON.stringify({ alg: 'none', kid: token.id })).toString('base64url');
  for (const forged of [`${none}..`, jws.replace('..', '.e30.'), 'x', ''])
    assert.equal(isSignedWith(token, forged, 'content'), false);
});

test("kubeadm's configuration, both forms of arguments; what is not used is named", () => {
  const config = parseKubeadmConfig(`
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.168.60.10, bindPort: 7443}
bootstrapTokens:
- token: abcdef.0123456789abcdef
  ttl: 2h
nodeRegistration:
  name: one
  criSocket: unix:///run/containerd/containerd.sock
  taints: []
  ignorePreflightErrors: [NumCPU]
  kubeletExtraArgs: [{name: node-labels, value: "a=b,c=d"}]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: shop
controlPlaneEndpoint: api.example:6443
networking: {podSubnet: 10.1.0.0/16, serviceSubnet: 10.2.0.0/16, dnsDomain: shop.local}
apiServer: {certSANs: [x.example], extraArgs: [{name: v, value: "4"}, {name: oidc-issuer-url, value: "https://login"}, {name: oidc-client-id, value: k8s}]}
featureGates: {X: true}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 250
evictionHard: {memory.available: 200Mi, nodefs.available: 5%}
imageGCHighThresholdPercent: 90
cgroupDriver: systemd
`);
  assert.deepEqual(config, {
    cluster: {
      ...{ clusterName: 'shop', controlPlaneEndpoint: 'api.example:6443', podCidr: '10.1.0.0/16' },
      ...{ serviceCidr: '10.2.0.0/16', dnsDomain: 'shop.local', certSans: ['x.example'] },
      openId: { issuerUrl: 'https://login', clientId: 'k8s' },
    },
    node: {
      ...{ nodeName: 'one', criSocket: 'unix:///run/containerd/containerd.sock', taints: [] },
      ...{ labels: { a: 'b', c: 'd' }, ignorePreflightErrors: ['NumCPU'] },
      limits: {
        ...{ maxPods: 250, imageGcHighPercent: 90 },
        evictionHard: { 'memory.available': '200Mi', 'nodefs.available': '5%' },
      },
    },
    tokens: [{ token: 'abcdef.0123456789abcdef', ttl: '2h' }],
    advertiseAddress: '192.168.60.10',
    bindPort: 7443,
    warnings: [
      'ClusterConfiguration.featureGates is not used',
      'ClusterConfiguration.apiServer.extraArgs.v is not used',
      'KubeletConfiguration.cgroupDriver is not used',
    ],
  });
  const join = parseKubeadmConfig(`
apiVersion: kubeadm.k8s.io/v1beta3
kind: JoinConfiguration
discovery:
  bootstrapToken: {apiServerEndpoint: "1.2.3.4:6443", token: abcdef.0123456789abcdef, caCertHashes: ["sha256:00"]}
nodeRegistration: {kubeletExtraArgs: {node-labels: x=y}}
`);
  assert.deepEqual(join.join, {
    endpoint: '1.2.3.4:6443',
    token: 'abcdef.0123456789abcdef',
    caCertHashes: ['sha256:00'],
  });
  assert.deepEqual(join.node.labels, { x: 'y' });
  assert.throws(() => parseKubeadmConfig('apiVersion: kubeadm.k8s.io/v1alpha1\nkind: InitConfiguration'), /v1beta4/);
  assert.throws(() =>
    parseKubeadmConfig('apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: 3'),
  );
});

test('the settings of the cluster survive the ConfigMap by which machines learn them', () => {
  const settings = {
    ...defaultCluster,
    controlPlaneEndpoint: 'api:6443',
    certSans: ['a', '10.0.0.1'],
    openId: {
      ...{ issuerUrl: 'https://login', clientId: 'k8s', usernameClaim: 'email', groupsPrefix: 'sso:' },
      requiredClaims: { hd: 'example.com', tier: 'a=b' },
    },
    dnsDomain: 'x.y',
  };
  const read = parseClusterConfiguration(printClusterConfiguration(settings, 'v1.36.0'));
  assert.deepEqual(read, { settings, kubernetesVersion: 'v1.36.0' });
});

test('reset takes what is new in the folders, and folders that were made, never what was there', () => {
  const layout = machineLayout('/m');
  const before = {
    ...{ '/m': [], '/m/etc': [], '/m/etc/kubernetes': ['audit.yaml', 'admin.conf'] },
    ...{ '/m/var': [], '/m/var/log': [], '/m/var/log/pods': ['old'] },
  };
  const now: Record<string, string[]> = {
    '/m/etc/kubernetes': ['admin.conf', 'audit.yaml', 'kubelet.conf', 'k8ts', 'pki', 'later.yaml'],
    '/m/etc/kubernetes/pki': ['ca.crt', 'ca.key'],
    '/m/var/log/pods': ['old', 'new'],
    '/m/var/lib/kubelet': ['pki', 'pods'],
  };
  const { trees, folders } = planRemoval(layout, before, (folder) => now[folder]);
  assert.deepEqual(trees, [
    ...['/m/etc/kubernetes/kubelet.conf', '/m/etc/kubernetes/k8ts'],
    ...['/m/etc/kubernetes/pki/ca.crt', '/m/etc/kubernetes/pki/ca.key'],
    ...['/m/var/lib/kubelet/pki', '/m/var/lib/kubelet/pods', '/m/var/log/pods/new'],
  ]);
  for (const kept of ['/m', '/m/etc', '/m/etc/kubernetes', '/m/var', '/m/var/log', '/m/var/log/pods'])
    assert.ok(!folders.includes(kept), kept);
  for (const made of ['/m/etc/kubernetes/pki', '/m/var/lib', '/m/var/lib/kubelet', '/m/run'])
    assert.ok(folders.includes(made), made);
});

test('versions in their order', () => {
  const ordered = ['0.1.0', '0.2.0-beta.2', '0.2.0-beta.10', '0.2.0', '0.10.0', '1.0.0'];
  for (let index = 1; index < ordered.length; index++) {
    assert.equal(compareVersions(ordered[index - 1] as string, ordered[index] as string), -1);
    assert.equal(compareVersions(ordered[index] as string, ordered[index - 1] as string), 1);
  }
  assert.equal(compareVersions('v1.2.3', '1.2.3+x'), 0);
});
