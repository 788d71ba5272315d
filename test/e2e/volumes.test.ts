import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually, Machine, run, whyNoContainers } from './harness.ts';

const skip = whyNoContainers() ?? false;
const machine = new Machine('e2e-vol');
const driverName = 'dirs.example.test';
const driverProgram = new URL('volumes/csi-driver.ts', import.meta.url).pathname;

interface Claim {
  metadata: { uid: string };
  spec: { volumeName: string };
  status: {
    phase: string;
    capacity?: { storage: string };
    conditions?: { type: string }[];
    allocatedResourceStatuses?: object;
  };
}
interface Volume {
  metadata: { name: string };
  spec: {
    nodeAffinity?: { required: { nodeSelectorTerms: { matchExpressions: { values: string[] }[] }[] } };
    local?: { path: string };
    persistentVolumeReclaimPolicy: string;
    csi?: { volumeHandle: string };
  };
  status: { phase: string; message?: string };
}

/** The folder of this machine that is /var/lib/kubelet on a node. */
const kubeletOf = (node: string): string => `/var/lib/k8ts/${machine.name}/nodes/${node}/kubelet`;
/** Where this machine has the data of a volume that is a directory of a node. */
const placeOf = ({ spec }: Volume): string =>
  join(
    kubeletOf(spec.nodeAffinity?.required.nodeSelectorTerms[0]?.matchExpressions[0]?.values[0] ?? ''),
    (spec.local?.path ?? '').slice('/var/lib/kubelet'.length),
  );
const sh = async (pod: string, command: string, ...more: string[]): Promise<string> =>
  (await machine.must('exec', pod, ...more, '--', 'sh', '-c', command)).trim();
const claim = (name: string): Promise<Claim> => machine.json<Claim>('pvc', name);
const events = async (reason: string): Promise<string> => {
  const { items } = await machine.json<{ items: { reason: string; message: string }[] }>('events');
  return items
    .filter((one) => one.reason === reason)
    .map((one) => one.message)
    .join('\n');
};
const ready = (pod: string): Promise<string> =>
  machine.must('wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=60s');

/** A pod of busybox that sleeps, with what else is said of it. */
const pod = (
  name: string,
  volumes: object[],
  mounts: object[],
  more: { spec?: object; container?: object } = {},
): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        { name: 'c', image: 'busybox:1', command: ['sleep', '3600'], volumeMounts: mounts, ...more.container },
      ],
      volumes,
      ...more.spec,
    },
  });
const claimYaml = (name: string, size: string, more: object = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } }, ...more },
  });
const ofClaim = (claimName: string): object => ({ name: 'v', persistentVolumeClaim: { claimName } });
const at = (mountPath: string, more: object = {}): object => ({ name: 'v', mountPath, ...more });
const on = (node: string): object => ({ nodeSelector: { 'kubernetes.io/hostname': node } });

async function processOf(node: string, name: string): Promise<number> {
  const { stdout } = await machine.k8ts('status', '--name', machine.name, '-o', 'json');
  const { processes } = JSON.parse(stdout) as { processes: { name: string; node: string; pid: number }[] };
  const found = processes.find((one) => one.node === node && one.name === name);
  assert.ok(found, `${node} has a process ${name}`);
  return found.pid;
}

describe('volumes', { skip }, () => {
  const tools = machine.path('bin');
  const drivers = new Map<string, ChildProcess>();

  async function startDriver(node: string): Promise<void> {
    const agent = await processOf(node, 'agent');
    const kubelet = '/var/lib/kubelet';
    const child = spawn(
      'nsenter',
      [
        `--mount=/proc/${agent}/ns/mnt`,
        '--',
        process.execPath,
        driverProgram,
        ...['--name', driverName, '--node', node, '--data', machine.path('disks')],
        ...['--socket', join(kubelet, 'plugins', driverName, 'csi.sock')],
        ...['--registration', join(kubelet, 'plugins_registry', `${driverName}-reg.sock`)],
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    drivers.set(node, child);
    await eventually(`${node} has the driver`, async () => {
      const found = await machine.kubectl('get', 'csinode', node, '-o', 'jsonpath={.spec.drivers[*].nodeID}');
      return found.stdout === `id-${node}`;
    });
  }

  async function stopDriver(node: string): Promise<void> {
    const child = drivers.get(node);
    drivers.delete(node);
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  }

  const calls = (method: string): { node: string; outcome: string; request: Record<string, unknown> }[] =>
    readFileSync(join(machine.path('disks'), 'calls.log'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((one) => one.method === method);

  /** As a power cut: everything of the node that is not on its disk is gone. */
  async function powerCut(node: string): Promise<void> {
    await stopDriver(node);
    const stopped = await machine.k8ts('node', 'stop', node, '--name', machine.name);
    assert.equal(stopped.code, 0, stopped.stderr);
    const started = await machine.k8ts('node', 'start', node, '--name', machine.name);
    assert.equal(started.code, 0, started.stderr);
  }

  before(async () => {
    mkdirSync(tools);
    mkdirSync(machine.path('disks'));
    machine.env.PATH = `${tools}:${process.env.PATH}`;
    await machine.prepare();
    await machine.up('--nodes', '3', '--image', machine.images);
  });
  after(async () => {
    for (const node of [...drivers.keys()]) await stopDriver(node);
    await machine.remove();
  });

  test('a StatefulSet has volumes at once; data outlive pod, kubelet, runtime and a power cut', async () => {
    assert.match(
      await machine.must('get', 'storageclass'),
      /^local \(default\) +k8ts\.io\/local +Delete +WaitForFirstConsumer +true/m,
    );
    await machine.apply(
      JSON.stringify({
        apiVersion: 'apps/v1',
        kind: 'StatefulSet',
        metadata: { name: 'db' },
        spec: {
          serviceName: 'db',
          replicas: 1,
          selector: { matchLabels: { app: 'db' } },
          template: {
            metadata: { labels: { app: 'db' } },
            spec: {
              terminationGracePeriodSeconds: 1,
              containers: [
                {
                  name: 'c',
                  image: 'busybox:1',
                  command: ['sh', '-c', 'echo started >> /data/log; sleep 3600'],
                  volumeMounts: [{ name: 'data', mountPath: '/data' }],
                },
              ],
            },
          },
          volumeClaimTemplates: [
            {
              metadata: { name: 'data' },
              spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
            },
          ],
        },
      }),
    );
    await machine.must('rollout', 'status', 'sts/db', '--timeout=60s');
    const { nodeName } = (await machine.json<{ spec: { nodeName: string } }>('pod', 'db-0')).spec;
    await sh('db-0', 'echo precious > /data/file; sync');
    const volume = await machine.json<Volume>('pv', (await claim('data-db-0')).spec.volumeName);
    assert.match(volume.spec.local?.path ?? '', /^\/var\/lib\/kubelet\/local-volumes\/pvc-[-0-9a-f]+\/data$/);

    await machine.must('delete', 'pod', 'db-0', '--wait=true');
    await machine.must('rollout', 'status', 'sts/db', '--timeout=60s');
    assert.equal(await sh('db-0', 'cat /data/file; wc -l < /data/log'), 'precious\n2');

    for (const name of ['agent', 'containerd']) process.kill(await processOf(nodeName, name), 'SIGKILL');
    await machine.up('--nodes', '3');
    await eventually('the pod answers', async () => (await sh('db-0', 'cat /data/file')) === 'precious');
    await powerCut(nodeName);
    await eventually('the pod is back', async () => (await sh('db-0', 'cat /data/file')) === 'precious');
    assert.equal(readFileSync(join(placeOf(volume), 'file'), 'utf8'), 'precious\n');
  });

  test('a claim grows; one that fits nowhere waits; a class decides what becomes of the data', async () => {
    await machine.must('patch', 'pvc', 'data-db-0', '-p', '{"spec":{"resources":{"requests":{"storage":"128Mi"}}}}');
    await eventually(
      'the claim has grown',
      async () => (await claim('data-db-0')).status.capacity?.storage === '128Mi',
    );
    assert.deepEqual((await claim('data-db-0')).status.conditions ?? [], []);

    await machine.apply(claimYaml('huge', '900Ti'));
    await machine.apply(pod('huge', [ofClaim('huge')], [at('/data')]));
    await eventually('the pod is refused for room', async () =>
      (await events('FailedScheduling')).includes('did not have enough free storage'),
    );
    // Where more room is told than there is, the node itself refuses, and the claim goes back to the scheduler.
    await eventually('the node refuses', async () => {
      const { items } = await machine.json<{ items: { metadata: { name: string } }[] }>(
        'csistoragecapacities',
        '-n',
        'kube-system',
      );
      const more = ['-n', 'kube-system', '--type=merge', '-p', '{"capacity":"999Pi"}'];
      for (const { metadata } of items) await machine.must('patch', 'csistoragecapacity', metadata.name, ...more);
      const told = await events('ProvisioningFailed');
      return /needs 943718400 MiB, but this node can promise only \d+ MiB more/.test(told);
    });
    await machine.must('delete', 'pod/huge', 'pvc/huge');

    await machine.apply(
      JSON.stringify({
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: 'kept' },
        provisioner: 'k8ts.io/local',
        reclaimPolicy: 'Retain',
        volumeBindingMode: 'WaitForFirstConsumer',
      }),
    );
    await machine.apply(claimYaml('kept', '1Mi', { storageClassName: 'kept' }));
    await machine.apply(claimYaml('many', '1Mi', { accessModes: ['ReadWriteMany'] }));
    const template = { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } } };
    const passing = { name: 'e', ephemeral: { volumeClaimTemplate: template } };
    await machine.apply(pod('kept', [ofClaim('kept'), passing], [at('/data'), { name: 'e', mountPath: '/e' }]));
    await machine.apply(pod('many', [ofClaim('many')], [at('/data')]));
    await ready('kept');
    await sh('kept', 'echo kept > /data/file; echo passing > /e/file');
    const kept = await machine.json<Volume>('pv', (await claim('kept')).spec.volumeName);
    const deleted = await machine.json<Volume>('pv', (await claim('data-db-0')).spec.volumeName);
    const gone = await machine.json<Volume>('pv', (await claim('kept-e')).spec.volumeName);
    assert.ok(existsSync(join(placeOf(gone), 'file')));
    await machine.must('delete', 'pod/kept', 'sts/db');
    await eventually('the pod took its own volume along', async () => !existsSync(placeOf(gone)));
    await machine.must('delete', 'pvc', 'kept', 'data-db-0', '--timeout=60s');
    await eventually('the data are gone', async () => !existsSync(placeOf(deleted)));
    await machine.must('wait', '--for=delete', `pv/${deleted.metadata.name}`, '--timeout=60s');
    assert.equal(readFileSync(join(placeOf(kept), 'file'), 'utf8'), 'kept\n');
    assert.equal((await machine.json<Volume>('pv', kept.metadata.name)).status.phase, 'Released');
    assert.match(await events('ProvisioningFailed'), /access mode ReadWriteMany is not possible/);
    await machine.must('delete', 'pod/many', 'pvc/many', `pv/${kept.metadata.name}`, '--timeout=60s');
    assert.ok(existsSync(join(placeOf(kept), 'file')), 'a retained volume keeps its data');
  });

  test('emptyDir in memory has its limit; groups, read-only, sub-paths and a volume for one pod are kept to', async () => {
    await machine.apply(claimYaml('one', '1Mi', { accessModes: ['ReadWriteOncePod'] }));
    const security = { securityContext: { fsGroup: 4711, runAsUser: 1000, runAsNonRoot: true } };
    const volumes = [{ name: 'm', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }, ofClaim('one')];
    const mounts = [
      { name: 'm', mountPath: '/m' },
      at('/data'),
      at('/ro', { readOnly: true }),
      at('/sub', { subPathExpr: 'of-$(WHO)' }),
    ];
    const env = { env: [{ name: 'WHO', value: 'me' }] };
    await machine.apply(pod('one', volumes, mounts, { spec: { ...security, ...on('worker1') }, container: env }));
    await ready('one');
    assert.match(
      await sh('one', 'dd if=/dev/zero of=/m/f bs=64k count=32 2>&1; wc -c < /m/f'),
      /No space left on device[^]*1048576$/,
    );
    assert.equal(await sh('one', 'echo x > /data/f; stat -c %g /data/f; id -G'), '4711\n0 4711');
    assert.equal(await sh('one', 'echo y > /sub/f; cat /data/of-me/f; stat -c %a /data/of-me'), 'y\n2777');
    assert.match(await sh('one', 'touch /ro/f 2>&1; true'), /Read-only file system/);

    await machine.apply(pod('two', [ofClaim('one')], [at('/data')]));
    await eventually('the second pod is refused', async () =>
      (await events('FailedScheduling')).includes('ReadWriteOncePod access mode'),
    );
    await machine.apply(pod('byhand', [ofClaim('one')], [at('/data')], { spec: { nodeName: 'worker1' } }));
    await eventually('the node refuses it too', async () =>
      (await events('FailedMount')).includes('already in use by another pod'),
    );
    await machine.must('delete', 'pod/two', 'pod/byhand');

    await sh('one', 'ln -s / /data/out; ln -s ../../../.. /data/up');
    const both = [at('/a', { subPath: 'out/etc' }), at('/b', { subPath: 'up' })];
    await machine.must('delete', 'pod/one');
    await machine.apply(pod('escape', [ofClaim('one')], both));
    await eventually('a link out of the volume is refused', async () => {
      const { items } = await machine.json<{ items: { message: string }[] }>('events');
      return items.some(({ message }) => /subPath "out\/etc" must stay inside its volume/.test(message));
    });
    await machine.must('delete', 'pod/escape', 'pvc/one');
  });

  test('NFS goes through the helper of the machine, and its absence says what to install', async () => {
    const absent = (await run('which', ['mount.nfs'])).code !== 0;
    const source = { name: 'v', nfs: { server: '192.0.2.1', path: '/export' } };
    const helper = join(tools, 'mount.nfs');
    const install = (): void => {
      mkdirSync(machine.path('export'), { recursive: true });
      writeFileSync(
        helper,
        `#!/bin/sh\necho "$@" >> ${machine.path('nfs.log')}\nexec mount --bind ${machine.path('export')} "$2"\n`,
      );
      chmodSync(helper, 0o755);
    };
    if (!absent) install();
    await machine.apply(pod('nfs', [source], [at('/data')], { spec: on('worker1') }));
    if (absent) {
      await eventually('the package is named', async () =>
        /no mount\.nfs: install the package nfs-common/.test(await events('FailedMount')),
      );
      install();
    }
    await ready('nfs');
    await sh('nfs', 'echo far > /data/file');
    assert.match(readFileSync(machine.path('nfs.log'), 'utf8'), /^192\.0\.2\.1:\/export \S+kubernetes\.io~nfs\/v$/m);
    await machine.must('delete', 'pod/nfs');
    assert.equal(readFileSync(join(machine.path('export'), 'file'), 'utf8'), 'far\n');
  });

  test('a CSI driver: made, attached, moved to another node, grown and deleted', async () => {
    await Promise.all([startDriver('worker1'), startDriver('worker2')]);
    const driver = { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: { name: driverName } };
    await machine.apply(
      JSON.stringify({
        ...driver,
        spec: { volumeLifecycleModes: ['Persistent', 'Ephemeral'], podInfoOnMount: true, storageCapacity: true },
      }),
    );
    await machine.must('create', 'secret', 'generic', 'key', '--from-literal=token=sesame');
    const parameters = {
      secret: 'yes',
      'csi.storage.k8s.io/provisioner-secret-name': 'key',
      'csi.storage.k8s.io/provisioner-secret-namespace': '${pvc.namespace}',
    };
    const dirs = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', provisioner: driverName, parameters };
    await machine.apply(JSON.stringify({ ...dirs, metadata: { name: 'dirs' }, allowVolumeExpansion: true }));
    const late = { metadata: { name: 'late' }, volumeBindingMode: 'WaitForFirstConsumer' };
    await machine.apply(JSON.stringify({ ...dirs, ...late }));
    // The driver says that each node has room for 5 GiB.
    for (const [name, size] of [
      ['fits', '5Gi'],
      ['big', '6Gi'],
    ] as const) {
      await machine.apply(claimYaml(name, size, { storageClassName: 'late' }));
      await machine.apply(pod(name, [ofClaim(name)], [at('/data')]));
    }
    await ready('fits');
    assert.equal((await claim('big')).status.phase, 'Pending');
    await machine.must('delete', 'pod/fits', 'pod/big', 'pvc/fits', 'pvc/big', '--timeout=60s');
    await machine.apply(claimYaml('disk', '1Gi', { storageClassName: 'dirs' }));
    await eventually('the claim is bound without a pod', async () => (await claim('disk')).status.phase === 'Bound');
    const inline = { name: 'i', csi: { driver: driverName } };
    const mounts = [at('/data'), { name: 'i', mountPath: '/inline' }];
    await machine.apply(pod('first', [ofClaim('disk'), inline], mounts, { spec: on('worker1') }));
    await ready('first');
    assert.equal(await sh('first', 'echo far > /data/file; cat /inline/pod'), 'first');
    assert.match(await machine.must('get', 'volumeattachment'), /dirs\.example\.test +pvc-\S+ +worker1 +true/);

    await machine.must('patch', 'pvc', 'disk', '-p', '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}');
    await eventually(
      'the claim has grown, on the node too',
      async () => (await claim('disk')).status.capacity?.storage === '2Gi',
    );
    assert.equal(calls('NodeExpandVolume').at(-1)?.outcome, 'OK');

    // The driver is away while its pod ends: the pod waits for it, nothing is deleted.
    await stopDriver('worker1');
    await machine.must('delete', 'pod/first', '--wait=false');
    await machine.apply(pod('second', [ofClaim('disk')], [at('/data')], { spec: on('worker2') }));
    await eventually('the volume is still attached', async () =>
      /Multi-Attach error/.test(await events('FailedAttachVolume')),
    );
    assert.equal((await machine.kubectl('get', 'pod', 'first')).code, 0);
    await startDriver('worker1');
    await ready('second');
    assert.equal(await sh('second', 'cat /data/file'), 'far');
    assert.equal((await machine.kubectl('get', 'pod', 'first')).code, 1);
    assert.equal(calls('NodeUnstageVolume').at(-1)?.node, 'worker1');
  });

  test("a CSI driver's volume outlives kubelet, runtime and a power cut, and goes with its claim", async () => {
    process.kill(await processOf('worker2', 'agent'), 'SIGKILL');
    await machine.up('--nodes', '3');
    await eventually('the pod answers', async () => (await sh('second', 'cat /data/file')) === 'far');
    await powerCut('worker2');
    await startDriver('worker2');
    await eventually('the pod is back', async () => (await sh('second', 'cat /data/file')) === 'far');
    await machine.must('delete', 'pod/second');
    await machine.must('delete', 'pvc/disk', '--timeout=60s');
    await eventually(
      'the driver has deleted it',
      async () => (await machine.json<{ items: object[] }>('pv')).items.length === 0,
    );
    assert.equal(calls('DeleteVolume').at(-1)?.outcome, 'OK');
    assert.deepEqual((await machine.json<{ items: object[] }>('volumeattachments')).items, []);
    for (const node of ['worker1', 'worker2']) {
      assert.deepEqual(readdirSync(join(kubeletOf(node), 'pods')), [], `${node} keeps nothing of its pods`);
      const staged = join(kubeletOf(node), 'plugins', 'kubernetes.io', 'csi', driverName);
      assert.ok(!existsSync(staged) || readdirSync(staged).length === 0, `${node} keeps nothing staged`);
    }
  });
});
