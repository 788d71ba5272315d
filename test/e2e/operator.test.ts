import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { startHttpsServer, type TestHttpsServer } from '#testkit';
import { eventually, type Result, run } from './harness.ts';

const root = new URL('../..', import.meta.url).pathname;
const kubectlProgram = join(root, '.cache/tools/kubectl-1.35');
const kit = join(root, 'test/tools/node_modules/pepr/dist/cli.js');
const module = join(root, 'test/e2e/operator/module.ts');

// biome-ignore lint: answers of any kind
type Json = any;

const store = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: peprstores.pepr.dev}
spec:
  group: pepr.dev
  scope: Namespaced
  names: {plural: peprstores, singular: peprstore, kind: PeprStore}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {data: {type: object, additionalProperties: {type: string}}}}}
`;

const webApp = (name: string, replicas: number | string): string => `
apiVersion: apps.example.com/v1
kind: WebApp
metadata: {name: ${name}, namespace: default}
spec: {replicas: ${replicas}, theme: dark}
`;

/** What the kit's own deployment makes of the bindings that a module has registered. */
function webhookRules(bindings: readonly Json[], which: 'isMutate' | 'isValidate'): object[] {
  return bindings
    .filter((one) => one[which])
    .map(({ event, kind }) => ({
      apiGroups: [kind.group],
      apiVersions: [kind.version || '*'],
      operations: event === 'CREATEORUPDATE' ? ['CREATE', 'UPDATE'] : [event],
      resources: [kind.plural || `${kind.kind.toLowerCase()}s`],
    }));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('an operator kit in TypeScript: Pepr', () => {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-operator-'));
  const env = { KUBECONFIG: join(folder, 'kubeconfig'), HOME: folder };
  let server: TestHttpsServer;
  let operator: ChildProcess | undefined;
  let said = '';
  const kubectl = (args: readonly string[], input = ''): Promise<Result> => run(kubectlProgram, args, { env, input });
  const must = async (args: readonly string[], input = ''): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(args, input);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}${stdout}\n${said.slice(-2000)}`);
    return stdout;
  };
  const start = (more: Record<string, string>): ChildProcess => {
    const child = fork(module, { env: { ...process.env, ...env, ...more }, silent: true });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => {
        said += chunk;
      });
    return child;
  };

  before(async () => {
    await run('ip', ['link', 'set', 'lo', 'up']);
    server = await startHttpsServer({ controllers: ['garbage-collector-controller'] });
    writeFileSync(env.KUBECONFIG, server.kubeconfig(), { mode: 0o600 });
  });
  after(async () => {
    operator?.kill('SIGKILL');
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a definition that the kit makes of types is taken, and explained', async () => {
    const made = await run(process.execPath, [kit, 'crd', 'generate', '--output', folder], {
      env: { ...env, PWD: join(root, 'test/e2e/operator') },
      cwd: join(root, 'test/e2e/operator'),
    });
    assert.equal(made.code, 0, made.stderr + made.stdout);
    await must(['create', 'namespace', 'pepr-system']);
    await must(['apply', '-f', '-'], store);
    await must(['apply', '-f', '-'], readFileSync(join(folder, 'webapp.yaml'), 'utf8'));
    await must(['wait', '--for=condition=Established', 'crd/webapps.apps.example.com', '--timeout=60s']);
    assert.match(await must(['explain', 'webapps.spec']), /replicas\s+<number> -required-/);
  });

  test('its webhooks are called over TLS, its watch reconciles', async () => {
    const exporting = start({ PEPR_MODE: 'build' });
    const [capabilities] = (await once(exporting, 'message')) as [Json[]];
    await once(exporting, 'exit');
    const bindings = capabilities.flatMap((one) => one.bindings);
    const pki = openClusterPki({ clock: systemClock });
    const serving = pki.issue({ commonName: 'pepr', usages: ['server'], ipAddresses: ['127.0.0.1'] });
    writeFileSync(join(folder, 'tls.crt'), serving.certificatePem);
    writeFileSync(join(folder, 'tls.key'), serving.keyPem, { mode: 0o600 });
    const port = await freePort();
    operator = start({
      ...{ PEPR_MODE: 'dev', PEPR_API_PATH: 'token', PORT: String(port), LOG_LEVEL: 'debug' },
      ...{ SSL_KEY_PATH: join(folder, 'tls.key'), SSL_CERT_PATH: join(folder, 'tls.crt') },
    });
    await eventually('the module is healthy', async () => {
      const asking = request({ host: '127.0.0.1', port, path: '/healthz', ca: pki.ca.certificatePem, agent: false });
      asking.end();
      const [response] = await once(asking, 'response');
      response.resume();
      return response.statusCode === 200;
    });
    for (const type of ['mutate', 'validate'] as const) {
      const webhook = {
        ...{ name: 'pepr-k8ts-test.pepr.dev', admissionReviewVersions: ['v1', 'v1beta1'], sideEffects: 'None' },
        ...{ failurePolicy: 'Fail', matchPolicy: 'Equivalent', timeoutSeconds: 10 },
        clientConfig: {
          url: `https://127.0.0.1:${port}/${type}/token`,
          caBundle: Buffer.from(pki.ca.certificatePem).toString('base64'),
        },
        namespaceSelector: {
          matchExpressions: [
            { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system', 'pepr-system'] },
          ],
        },
        rules: webhookRules(bindings, type === 'mutate' ? 'isMutate' : 'isValidate'),
      };
      const configuration = {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: `${type === 'mutate' ? 'Mutating' : 'Validating'}WebhookConfiguration`,
        metadata: { name: 'pepr-k8ts-test' },
        webhooks: [webhook],
      };
      await must(['apply', '--server-side', '--field-manager=pepr', '-f', '-'], JSON.stringify(configuration));
    }

    const applied = await kubectl(['apply', '-f', '-'], webApp('web', 2));
    assert.equal(applied.code, 0, applied.stderr + said.slice(-2000));
    assert.match(applied.stderr, /^Warning: checked$/m);
    const app = JSON.parse(await must(['get', 'wa', 'web', '-o', 'json']));
    assert.deepEqual([app.metadata.labels.theme, app.metadata.annotations['mutated-by']], ['dark', 'pepr']);

    const denied = await kubectl(['apply', '-f', '-'], webApp('large', 11));
    assert.match(
      denied.stderr,
      /admission webhook "pepr-k8ts-test.pepr.dev" denied the request: no more than ten replicas/,
    );
    const typed = await kubectl(['apply', '-f', '-'], webApp('typed', '"two"'));
    assert.match(typed.stderr, /spec.replicas: Invalid value: "string"/);

    await eventually('the deployment is made and the status written', async () => {
      const { code, stdout } = await kubectl(['get', 'deployment', 'web', '-o', 'jsonpath={.spec.replicas}']);
      const { status } = JSON.parse(await must(['get', 'webapp', 'web', '-o', 'json']));
      return code === 0 && stdout === '2' && status?.conditions?.[0]?.message === '2 asked for';
    });
    await must(['patch', 'webapp', 'web', '--type=merge', '-p', '{"spec":{"replicas":3}}']);
    await eventually('the change is followed', async () => {
      const { stdout } = await kubectl(['get', 'deployment', 'web', '-o', 'jsonpath={.spec.replicas}']);
      return stdout === '3';
    });
    const owned = JSON.parse(await must(['get', 'deployment', 'web', '-o', 'json', '--show-managed-fields']));
    assert.deepEqual(
      owned.metadata.managedFields.map((one: Json) => [one.manager, one.operation]),
      [['pepr', 'Apply']],
    );

    await must(['create', 'configmap', 'plain']);
    await must(['create', 'configmap', 'kept']);
    await must(['label', 'configmap', 'kept', 'keep=yes']);
    await must(['delete', 'configmap', 'plain']);
    const kept = await kubectl(['delete', 'configmap', 'kept']);
    assert.match(kept.stderr, /denied the request: this one is kept/);

    await must(['delete', 'webapp', 'web', '--cascade=foreground', '--timeout=60s']);
    const gone = await kubectl(['get', 'deployment', 'web']);
    assert.match(gone.stderr, /NotFound/);
    const stores = JSON.parse(await must(['get', 'peprstores', '-n', 'pepr-system', '-o', 'json']));
    assert.ok(stores.items.some((one: Json) => one.metadata.name === 'pepr-k8ts-test-store'));
  });
});
