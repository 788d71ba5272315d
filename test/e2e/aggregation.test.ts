import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openAuthenticator } from '#apiserver';
import { systemClock } from '#base';
import { decodeYaml } from '#codec';
import { openClusterPki } from '#pki';
import { startHttpsServer, type TestHttpsServer } from '#testkit';
import { eventually, type Result, run } from './harness.ts';

const tools = join(new URL('../..', import.meta.url).pathname, '.cache/tools');
const kubectlProgram = join(tools, 'kubectl-1.35');

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: flunders.wardle.example.com}
spec:
  group: wardle.example.com
  scope: Namespaced
  names: {plural: flunders, singular: flunder, kind: Flunder, shortNames: [fl]}
  versions:
    - name: v1
      served: true
      storage: true
      additionalPrinterColumns: [{name: Reference, type: string, jsonPath: .spec.reference}]
      schema:
        openAPIV3Schema:
          type: object
          description: Flunder is an example.
          properties:
            spec:
              type: object
              properties:
                reference: {type: string, description: Whom it refers to.}
                parts:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [name]
                  items: {type: object, required: [name], properties: {name: {type: string}, size: {type: integer}}}
`;

const flunder = (reference: string): string => `
apiVersion: wardle.example.com/v1
kind: Flunder
metadata: {name: one, namespace: default}
spec: {reference: ${reference}, parts: [{name: a, size: 1}]}
`;

/** The aggregated server is another of our own: its flunders are custom resources there, and no more than an APIService here. */
describe('kubectl with resources of an aggregated API server', () => {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-aggregation-'));
  const env = { KUBECONFIG: join(folder, 'kubeconfig'), HOME: folder };
  const pki = openClusterPki({ clock: systemClock });
  let wardle: TestHttpsServer;
  let main: TestHttpsServer;
  let behindTls: { readonly port: number };
  const kubectl = (args: readonly string[], input = ''): Promise<Result> => run(kubectlProgram, args, { env, input });
  const must = async (args: readonly string[], input = ''): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(args, input);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };

  before(async () => {
    await run('ip', ['link', 'set', 'lo', 'up']);
    wardle = await startHttpsServer({
      server: {
        authenticator: (objects) =>
          openAuthenticator({
            ...{ clock: systemClock, objects, audiences: ['wardle'] },
            frontProxy: { roots: () => [pki.frontProxyCa.certificate], allowedNames: ['front-proxy-client'] },
          }),
      },
    });
    const serving = pki.issue({ commonName: 'wardle', usages: ['server'], dnsNames: ['api.wardle.svc'] });
    behindTls = await wardle.cluster.server.listen({
      ...{ host: '127.0.0.1', port: 0 },
      tls: {
        cert: serving.certificatePem,
        key: serving.keyPem,
        clientCa: pki.frontProxyCa.certificatePem,
      },
    });
    const voucher = pki.credential('front-proxy-client');
    main = await startHttpsServer({
      controllers: ['namespace-controller'],
      server: {
        aggregation: {
          clientCert: voucher.certificatePem,
          clientKey: voucher.keyPem,
          resolveService: async () => ({ host: '127.0.0.1', port: behindTls.port }),
        },
      },
    });
    writeFileSync(env.KUBECONFIG, main.kubeconfig(), { mode: 0o600 });
  });
  after(async () => {
    await main?.close();
    await wardle?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('registered, it becomes available', async () => {
    const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await wardle.cluster.client.raw('POST', crds, decodeYaml(Buffer.from(definition)) as object);
    const registered = `
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.wardle.example.com}
spec:
  group: wardle.example.com
  version: v1
  groupPriorityMinimum: 2000
  versionPriority: 15
  caBundle: ${Buffer.from(pki.ca.certificatePem).toString('base64')}
  service: {namespace: wardle, name: api}
`;
    await must(['apply', '-f', '-'], registered);
    const missing = await must(['get', 'apiservice', 'v1.wardle.example.com']);
    assert.match(missing, /wardle\/api\s+(False \(ServiceNotFound\)|Unknown)/);
    const early = await kubectl(['get', 'flunders']);
    assert.equal(early.code, 1);
    await must(['create', 'namespace', 'wardle']);
    await must(['create', 'service', 'clusterip', 'api', '--tcp=443:443', '-n', 'wardle']);
    await must(
      ['apply', '-f', '-'],
      `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: api-1, namespace: wardle, labels: {kubernetes.io/service-name: api}}
addressType: IPv4
endpoints: [{addresses: [10.9.8.7], conditions: {ready: true}}]
ports: [{name: 443-443, port: 443, protocol: TCP}]
`,
    );
    await must(['wait', '--for=condition=Available', 'apiservice/v1.wardle.example.com', '--timeout=60s']);
  });

  test('found, explained, applied in both ways, diffed, watched, described, deleted', async () => {
    const resources = await eventually('the resource is found', async () => {
      const out = await must(['api-resources', '--api-group=wardle.example.com', '--no-headers']);
      return out.includes('flunders') && out;
    });
    assert.match(resources, /^flunders\s+fl\s+wardle.example.com\/v1\s+true\s+Flunder/);
    assert.match(await must(['explain', 'flunders']), /DESCRIPTION:\s+Flunder is an example./);
    assert.match(await must(['explain', 'flunder.spec.parts']), /name\s+<string> -required-/);

    // An old client reads the protobuf form of OpenAPI 2.
    const old = await run(join(tools, 'kubectl-1.20'), ['explain', 'flunders.spec.reference'], { env });
    assert.match(old.stdout, /DESCRIPTION:\s+Whom it refers to./, old.stderr);

    assert.match(await must(['apply', '-f', '-'], flunder('first')), /flunder.wardle.example.com\/one created/);
    const watching = spawn(kubectlProgram, ['get', 'fl', '-w', '--no-headers'], { env: { ...process.env, ...env } });
    let seen = '';
    watching.stdout.on('data', (chunk) => {
      seen += chunk;
    });
    try {
      await eventually('the watch begins', async () => /^one\s+first/.test(seen));
      const diff = await kubectl(['diff', '-f', '-'], flunder('second'));
      assert.equal(diff.code, 1, diff.stderr);
      assert.match(diff.stdout, /^-\s+reference: first\n\+\s+reference: second/m);
      assert.match(await must(['apply', '-f', '-'], flunder('second')), /configured/);
      await eventually('the watch goes on', async () => /^one\s+second/m.test(seen));
    } finally {
      watching.kill('SIGKILL');
    }
    assert.match(await must(['apply', '-f', '-'], flunder('second')), /unchanged/);
    const unknown = await kubectl(['apply', '-f', '-'], flunder('second').replace('parts:', 'other: 1, parts:'));
    assert.match(unknown.stderr, /unknown field "spec.other"/);
    const two = (more: string): string => `
apiVersion: wardle.example.com/v1
kind: Flunder
metadata: {name: two, namespace: default}
spec: {${more}}
`;
    const applyAs = (manager: string, manifest: string): Promise<Result> =>
      kubectl(['apply', '--server-side', `--field-manager=${manager}`, '-f', '-'], manifest);
    assert.equal((await applyAs('a', two('reference: x, parts: [{name: a, size: 1}]'))).code, 0);
    assert.equal((await applyAs('b', two('parts: [{name: b, size: 2}]'))).code, 0);
    const both = JSON.parse(await must(['get', 'fl', 'two', '-o', 'json']));
    assert.deepEqual(both.spec.parts, [
      { name: 'a', size: 1 },
      { name: 'b', size: 2 },
    ]);
    const conflict = await applyAs('b', two('reference: other'));
    assert.match(conflict.stderr, /conflict with "a": \.spec\.reference/);
    assert.match(await must(['describe', 'fl', 'one']), /Reference:\s+second/);
    await must(['label', 'fl', 'one', 'colour=red']);
    assert.match(await must(['get', 'fl', '-A', '-l', 'colour=red']), /^default\s+one\s+second/m);

    const forbidden = await kubectl(['get', 'fl', '--as=jane']);
    assert.match(
      forbidden.stderr,
      /Error from server \(Forbidden\): flunders.wardle.example.com is forbidden: User "jane" cannot list resource "flunders"/,
    );
    await must(['delete', 'fl', 'one']);
    assert.match((await kubectl(['get', 'fl', 'one'])).stderr, /flunders.wardle.example.com "one" not found/);
  });

  test('a namespace goes with what another server keeps in it', async () => {
    await wardle.cluster.client.raw('POST', '/api/v1/namespaces', { metadata: { name: 'wild' } });
    await must(['create', 'namespace', 'wild']);
    await must(['apply', '-f', '-'], flunder('first').replace('namespace: default', 'namespace: wild'));
    await must(['delete', 'namespace', 'wild', '--timeout=60s']);
    const left = (await wardle.cluster.client.raw('GET', '/apis/wardle.example.com/v1/namespaces/wild/flunders')) as {
      items: object[];
    };
    assert.deepEqual(left.items, []);
  });

  test('where it is gone, it is said so, and nothing else suffers', async () => {
    await must(['delete', 'endpointslice', 'api-1', '-n', 'wardle']);
    await eventually('it is not available', async () => {
      const out = await must(['get', 'apiservice', 'v1.wardle.example.com']);
      return out.includes('False (EndpointsNotFound)');
    });
    const gone = await kubectl(['get', 'flunders.v1.wardle.example.com']);
    assert.match(
      gone.stderr,
      /Error from server \(ServiceUnavailable\): the server is currently unable to handle the request/,
    );
    await must(['get', 'pods', '-A']);
    await must(['apply', '-f', '-'], 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fine, namespace: default}\n');
    await must(['api-resources', '--cached=false']);
    // What it keeps in a namespace cannot be known: the namespace waits, and says why.
    await must(['create', 'namespace', 'stuck']);
    await must(['delete', 'namespace', 'stuck', '--wait=false']);
    const failure = '{.status.conditions[?(@.type=="NamespaceDeletionDiscoveryFailure")].message}';
    await eventually('the namespace says why it stays', async () => {
      const { stdout } = await kubectl(['get', 'namespace', 'stuck', '-o', `jsonpath=${failure}`]);
      return stdout.includes('wardle.example.com/v1');
    });
    assert.match(await must(['get', '--raw', '/apis']), /"groupVersion":"wardle.example.com\/v1"/);
    await must(['delete', 'apiservice', 'v1.wardle.example.com']);
    assert.doesNotMatch(await must(['api-versions']), /wardle/);
    await must(['wait', '--for=delete', 'namespace/stuck', '--timeout=60s']);
  });
});
