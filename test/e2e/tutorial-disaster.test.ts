import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, whyNoContainers } from './harness.ts';
import { busyboxImage } from './images.ts';
import { Machines, runPage } from './machines.ts';

const skip = whyNoContainers() ?? false;
const machines = new Machines('k8d');

before(async () => {
  if (skip !== false) return;
  await machines.make(['master', 'worker1']);
  await machines.must(
    'master',
    `echo '{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata, verbs: [delete]}]}' > policy.yaml
k8ts init --apiserver-advertise-address=192.168.60.10 --snapshot-every 1h --audit-policy-file policy.yaml
mkdir -p $HOME/.kube
cp /etc/kubernetes/admin.conf $HOME/.kube/config`,
  );
  const line = await machines.must('master', 'k8ts token create --print-join-command');
  await machines.must('worker1', line.trim());
  const program = 'mkdir -p /w; echo hello > /w/index.html; trap "exit 0" TERM; httpd -f -p 80 -h /w & wait';
  const image = await busyboxImage('docker.io/library/nginx:1.29-alpine', { cmd: ['sh', '-c', program] });
  await machines.loadImages('worker1', [image]);
  await machines.must('master', 'kubectl wait --for=condition=Ready node/worker1 --timeout=60s');
});
after(async () => {
  if (skip === false) await machines.remove();
});

test('the tutorial page "disaster recovery" runs as printed; containers on the worker never stopped', {
  skip,
}, async () => {
  const containers = (): Promise<string> =>
    machines.must('worker1', 'ctr -a /run/kubernetes/containerd.sock -n k8s.io tasks list -q | sort');
  const outputs = await runPage('10-disaster-recovery', machines);
  assert.match(outputs[1] ?? '', /^WHOLE +yes/m);
  assert.match(outputs[3] ?? '', /soup$/);
  assert.match(outputs[4] ?? '', /node\/worker1 +Ready/);
  const statuses = `kubectl get pods -l app=web -o jsonpath='{range .items[*].status.containerStatuses[*]}{.containerID} {.restartCount}{"\\n"}{end}'`;
  const agreed = (): Promise<string> =>
    eventually('the containers that run are those of the API', async () => {
      const found = await containers();
      const said = (await machines.must('master', statuses)).trim().split('\n');
      assert.equal(said.length, 2, said.join());
      for (const line of said)
        assert.ok(found.includes(line.replace(/^containerd:\/\/| \d+$/g, '')), `${line}: ${found}`);
      return found;
    });
  await machines.must('master', 'k8ts restore cluster.backup');
  await machines.must('master', 'kubectl wait --for=condition=Available deployment/web --timeout=60s');
  await agreed();
  await machines.must('master', 'k8ts backup running.backup');
  const running = await agreed();
  await machines.must(
    'master',
    'k8ts reset --force\nk8ts restore running.backup\ncp /etc/kubernetes/admin.conf $HOME/.kube/config',
  );
  await machines.must('master', 'kubectl wait --for=condition=Ready node/worker1 --timeout=60s');
  assert.equal(await agreed(), running, 'the master was lost and is back: no container on the worker has stopped');
  await machines.must('master', 'k8ts restore running.backup');
  assert.equal(await agreed(), running, 'nor by a restore over the cluster');
  const snapshots = await eventually('a snapshot was taken by schedule', async () => {
    const found = JSON.parse(await machines.must('master', 'k8ts backup list -o json')) as { file: string }[];
    return found.length > 0 && found;
  });
  await machines.must('master', `k8ts backup check ${snapshots[0]?.file}`);
  const audit = await machines.must(
    'master',
    'kubectl delete secret door; sleep 1; tail -n 1 /var/log/kubernetes/audit.log',
  );
  assert.match(
    audit,
    /"verb":"delete".*"resource":"secrets".*"name":"door"/,
    'the audit policy came back with the backup',
  );
  const other = await machines.shell('worker1', 'k8ts backup here');
  assert.equal(other.code, 1);
  assert.match(other.stderr, /this machine \(node worker1\) is no control plane/);
});
