import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually, Machine, type Result, run } from './harness.ts';

const machine = new Machine('e2e-expressions');

async function applied(manifest: string): Promise<Result> {
  const { KUBECONFIG } = machine.env;
  const tools = new URL('../../.cache/tools/kubectl-1.35', import.meta.url).pathname;
  return run(tools, ['apply', '-f', '-'], { env: { ...machine.env, KUBECONFIG }, input: manifest });
}

const limits = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: limits.rules.example.com}
spec:
  group: rules.example.com
  scope: Namespaced
  names: {plural: limits, kind: Limit, shortNames: [lim]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [low, high]
            x-kubernetes-validations:
            - rule: self.low <= self.high
              messageExpression: "'low %d is above high %d'.format([self.low, self.high])"
              fieldPath: .low
            properties:
              low: {type: integer, minimum: 0, maximum: 1000}
              high: {type: integer, minimum: 0, maximum: 1000}
              unit:
                type: string
                x-kubernetes-validations:
                - {rule: self == oldSelf, message: unit is immutable}
`;

const limit = (name: string, spec: string): string => `
apiVersion: rules.example.com/v1
kind: Limit
metadata: {name: ${name}}
spec: ${spec}
`;

describe('expressions, as kubectl meets them', () => {
  before(async () => {
    await run('ip', ['link', 'set', 'lo', 'up']);
    await machine.up('--nodes', '0', '--simulate', '1');
  });
  after(() => machine.remove());

  test('rules of a custom resource, served within a second', async () => {
    await machine.apply(limits);
    const started = performance.now();
    await eventually('the kind', async () => (await machine.kubectl('get', 'lim')).code === 0);
    assert.ok(performance.now() - started < 60_000);
    await machine.apply(limit('a', '{low: 1, high: 2, unit: m}'));
    const refused = await applied(limit('b', '{low: 3, high: 2}'));
    assert.equal(
      refused.stderr.trim(),
      'The Limit "b" is invalid: spec.low: Invalid value: "object": low 3 is above high 2',
    );
    assert.match(
      (await applied(limit('a', '{low: 1, high: 2, unit: km}'))).stderr,
      /The Limit "a" is invalid: spec.unit: Invalid value: "string": unit is immutable/,
    );
    const broken = await applied(limits.replace('self.low <= self.high', 'self.low <= self.hight'));
    assert.match(
      broken.stderr,
      /spec.validation.openAPIV3Schema.properties\[spec\].x-kubernetes-validations\[0\].rule: Invalid value: /,
    );
    assert.match(
      broken.stderr,
      /compilation failed: ERROR: <input>:1:17: undefined field 'hight'\n \| self.low <= self.hight\n \| \.{16}\^/,
    );
    assert.match((await machine.kubectl('explain', 'limit.spec.low')).stdout, /FIELD: low <integer>/);
  });

  test('a policy with parameters denies, and stops with its binding', async () => {
    await machine.apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: replicas}
spec:
  failurePolicy: Fail
  paramKind: {apiVersion: rules.example.com/v1, kind: Limit}
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  validations:
  - expression: object.spec.replicas <= params.spec.high
    messageExpression: "'at most ' + string(params.spec.high) + ' replicas'"
    reason: Invalid
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: replicas-here}
spec:
  policyName: replicas
  validationActions: [Deny]
  paramRef: {name: a, namespace: default, parameterNotFoundAction: Deny}
`);
    const make = (name: string, replicas: number): Promise<Result> =>
      machine.kubectl('create', 'deployment', name, '--image=k8ts.test/web:1', `--replicas=${replicas}`);
    const started = performance.now();
    await eventually(
      'the policy',
      async () => (await make('big', 3)).code !== 0 || (await machine.kubectl('delete', 'deployment', 'big')).code < 0,
    );
    assert.ok(performance.now() - started < 60_000);
    const denied = await make('big', 3);
    assert.equal(
      denied.stderr.trim(),
      `error: failed to create deployment: deployments.apps "big" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'replicas-here' denied request: at most 2 replicas`,
    );
    assert.equal((await make('small', 2)).code, 0);
    const scaled = await machine.kubectl('patch', 'deployment', 'small', '-p', '{"spec":{"replicas":9}}');
    assert.match(scaled.stderr, /at most 2 replicas/);
    const status = await eventually('type checking', async () => {
      const text = await machine.must(
        'get',
        'validatingadmissionpolicy',
        'replicas',
        '-o',
        'jsonpath={.status.observedGeneration}',
      );
      return text === '1' && text;
    });
    assert.equal(status, '1');
    await machine.must('delete', 'validatingadmissionpolicybinding', 'replicas-here');
    await eventually('no policy', async () => (await make('big', 3)).code === 0);
  });

  test('a mutating policy adds to pods, also to those of controllers', async () => {
    await machine.apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: team}
spec:
  reinvocationPolicy: IfNeeded
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  matchConditions:
  - {name: unlabelled, expression: "!has(object.metadata.labels) || !('team' in object.metadata.labels)"}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: "Object{metadata: Object.metadata{labels: {'team': request.namespace}}}"
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: team}
spec: {policyName: team}
`);
    await eventually('a pod with a team', async () => {
      await machine.kubectl('delete', 'pod', 'probe', '--ignore-not-found', '--force', '--grace-period=0');
      await machine.must('run', 'probe', '--image=k8ts.test/web:1');
      return (await machine.must('get', 'pods', '-l', 'team=default', '-o', 'name')).includes('pod/probe');
    });
    await machine.must('create', 'deployment', 'web', '--image=k8ts.test/web:1', '--replicas=2');
    await eventually('pods of a deployment with a team', async () => {
      const names = await machine.must('get', 'pods', '-l', 'app=web,team=default', '-o', 'name');
      return names.trim().split('\n').length === 2;
    });
  });
});
