import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, Ingress, Service } from '#api';
import { parseAnnotations, readRulePath, rewriteTarget } from './annotations.ts';
import { planIngress } from './plan-ingress.ts';
import { planUpstream } from './plan-upstream.ts';

const backend = (service: string, port: number | string = 80) => ({
  service: { name: service, port: typeof port === 'number' ? { number: port } : { name: port } },
});
function ingress(name: string, created: string, spec: object, annotations?: Record<string, string>): Ingress {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { namespace: 'ns', name, creationTimestamp: created, ...(annotations ? { annotations } : {}) },
    spec,
  } as unknown as Ingress;
}
const rules = (host: string, ...paths: readonly (readonly [path: string, service: string, type?: string])[]) => [
  {
    host,
    http: {
      paths: paths.map(([path, service, pathType = 'Prefix']) => ({ path, pathType, backend: backend(service) })),
    },
  },
];
const routesOf = (...list: readonly Ingress[]): string[] =>
  planIngress(list).routes.map(
    (one) => `${one.host} ${one.type} ${one.path || '/'} → ${one.backend.service} (${one.ingress})`,
  );

test('the older Ingress keeps a path; the other rules of the younger stand', () => {
  const younger = ingress('a-younger', '2026-01-02T00:00:00Z', {
    rules: rules('X.test', ['/a', 'two'], ['/b', 'two']),
  });
  const older = ingress('older', '2026-01-01T00:00:00Z', { rules: rules('x.test', ['/a/', 'one']) });
  assert.deepEqual(routesOf(younger, older), [
    'x.test Prefix /a → one (ns/older)',
    'x.test Prefix /b → two (ns/a-younger)',
  ]);
  assert.deepEqual(planIngress([younger, older]).problems, [
    {
      ingress: 'ns/a-younger',
      reason: 'Conflict',
      message: 'Prefix /a of host x.test is served by the older Ingress ns/older; this rule has no effect',
    },
  ]);
});

test('of the same second, the first by name: every node decides alike', () => {
  const [a, b] = ['a', 'b'].map((name) => ingress(name, '2026-01-01T00:00:00Z', { rules: rules('', ['/', name]) })) as [
    Ingress,
    Ingress,
  ];
  assert.deepEqual(routesOf(b, a), [' Prefix / → a (ns/a)']);
  assert.deepEqual(routesOf(a, b), [' Prefix / → a (ns/a)']);
});

test('a backend that is no Service costs its rule only', () => {
  const { routes, problems } = planIngress([
    ingress('i', '', {
      rules: [
        {
          http: {
            paths: [
              { path: '/r', pathType: 'Prefix', backend: { resource: { kind: 'Bucket', name: 'b' } } },
              { path: '/s', pathType: 'Prefix', backend: backend('web', 'http') },
            ],
          },
        },
        { host: 'no-http.test' },
      ],
    }),
  ]);
  assert.deepEqual(
    routes.map((one) => [one.path, one.backend.port]),
    [['/s', 'http']],
  );
  assert.deepEqual(
    problems.map((one) => one.reason),
    ['Unsupported'],
  );
});

test('default backends: of a host, and of everything', () => {
  const one = ingress('one', '2026-01-01T00:00:00Z', {
    defaultBackend: backend('d1'),
    rules: rules('x.test', ['/a', 'a']),
  });
  assert.deepEqual(
    planIngress([one]).defaults.map((d) => [d.host, d.backend.service]),
    [
      ['x.test', 'd1'],
      ['', 'd1'],
    ],
  );
  const two = ingress('two', '2026-01-02T00:00:00Z', { defaultBackend: backend('d2') });
  assert.deepEqual(
    planIngress([one, two]).defaults.map((d) => [d.host, d.backend.service]),
    [
      ['x.test', 'd1'],
      ['', 'd2'],
    ],
  );
});

test('certificates by host; TLS without hosts is for the hosts of the rules; the older keeps a host', () => {
  const a = ingress('a', '2026-01-01T00:00:00Z', { tls: [{ secretName: 's1' }], rules: rules('x.test', ['/', 'w']) });
  const b = ingress('b', '2026-01-02T00:00:00Z', {
    tls: [{ hosts: ['X.test', '*.y.test'], secretName: 's2' }, { hosts: ['z.test'] }],
  });
  const { certificates, tlsHosts, problems } = planIngress([b, a]);
  assert.deepEqual(
    certificates.map((one) => [one.host, one.secret]),
    [
      ['x.test', 's1'],
      ['*.y.test', 's2'],
    ],
  );
  assert.deepEqual(tlsHosts, ['x.test', '*.y.test', 'z.test']);
  assert.deepEqual(
    problems.map((one) => [one.ingress, one.reason]),
    [['ns/b', 'Conflict']],
  );
});

test('annotations: known ones are read, unknown ones told, restrictions that cannot be kept refuse', () => {
  const p = 'nginx.ingress.kubernetes.io/';
  const read = parseAnnotations({
    [`${p}ssl-redirect`]: 'false',
    [`${p}force-ssl-redirect`]: 'true',
    [`${p}proxy-body-size`]: '8m',
    [`${p}backend-protocol`]: 'grpc',
    [`${p}proxy-read-timeout`]: '5',
    'example.com/other': 'x',
  });
  assert.deepEqual(read.problems, []);
  assert.deepEqual(read.options, {
    sslRedirect: false,
    forceSslRedirect: true,
    maxBodyBytes: 8 << 20,
    readTimeoutMs: 5000,
  });
  assert.equal(read.protocol, 'h2c');
  assert.match(parseAnnotations({ [`${p}server-snippet`]: 'x' }).problems[0] ?? '', /not supported and has no effect/);
  for (const name of ['auth-url', 'auth-type', 'denylist-source-range', 'limit-rps'])
    assert.notEqual(parseAnnotations({ [p + name]: 'x' }).options.refused, undefined, name);
  assert.notEqual(parseAnnotations({ [`${p}whitelist-source-range`]: '10.0.0.0/8, evil' }).options.refused, undefined);
  assert.deepEqual(parseAnnotations({ [`${p}whitelist-source-range`]: '10.0.0.0/8,::1' }).options.allowFrom, [
    '10.0.0.0/8',
    '::1',
  ]);
  for (const bad of ['\n', '8m; evil', '{}', '"', '9'.repeat(40), '__proto__', 'constructor'])
    for (const name of ['proxy-body-size', 'backend-protocol', 'proxy-read-timeout', 'rewrite-target'])
      assert.equal(parseAnnotations({ [p + name]: bad }).problems.length, 1, `${name} ${bad}`);
});

test('rewriting: the whole path, or a prefix taken away', () => {
  const read = (path: string, target: string | undefined, useRegex = false) =>
    readRulePath(path, { ...(target === undefined ? {} : { rewriteTarget: target }), useRegex, patterns: true });
  const rewritten = (path: string, target: string, asked: string): string | undefined => {
    const { rewrite } = read(path, target);
    return rewrite === undefined ? undefined : rewriteTarget(asked, rewrite);
  };
  assert.equal(rewritten('/api', '/', '/api/x?q=1'), '/?q=1');
  assert.equal(rewritten('/api(/|$)(.*)', '/$2', '/api'), '/');
  assert.equal(rewritten('/api(/|$)(.*)', '/$2', '/api/a/b?q'), '/a/b?q');
  assert.equal(rewritten('/api/v1(/|$)(.*)', '/v2/$2', '/api/v1/a%20b/'), '/v2/a%20b/');
  assert.equal(rewritten('/api/(.*)', '/$1', '/api//evil.test/x'), '/evil.test/x');
  assert.equal(rewritten('/(.*)', '/base/$1', '/x'), '/base/x');
  assert.equal(read('/api(/|$)(.*)', '/$2').path, '/api');
  assert.notEqual(read('/a[0-9]+(.*)', '/$1').problem, undefined);
  assert.equal(read('/a[0-9]+', undefined, true).path, '', 'a pattern that is not understood is not served');
  assert.equal(read('/a/.*', undefined, true).path, '/a');
});

test('upstreams: endpoints of any Service, by name or number of the port', () => {
  const service = (spec: object): Service =>
    ({ metadata: { name: 'web', namespace: 'ns' }, spec }) as unknown as Service;
  const slice = (ports: object[], ...endpoints: object[]): EndpointSlice =>
    ({
      metadata: { name: 'web-1', namespace: 'ns' },
      addressType: 'IPv4',
      ports,
      endpoints,
    }) as unknown as EndpointSlice;
  const reference = (port: number | string, protocol?: 'h2') => ({
    namespace: 'ns',
    service: 'web',
    port,
    ...(protocol === undefined ? {} : { protocol }),
  });
  const ports = [
    { name: 'http', port: 80 },
    { name: 'rpc', port: 81, appProtocol: 'kubernetes.io/h2c' },
  ];
  const slices = [
    slice(
      [
        { name: 'http', port: 8080 },
        { name: 'rpc', port: 9090 },
      ],
      { addresses: ['10.0.0.2'], conditions: { ready: true } },
      { addresses: ['10.0.0.1'], conditions: { ready: false, serving: true, terminating: true } },
      { addresses: ['10.0.0.3'] },
    ),
  ];
  assert.deepEqual(planUpstream(reference('http'), service({ ports }), slices), {
    state: {
      targets: [
        { address: '10.0.0.2', port: 8080 },
        { address: '10.0.0.3', port: 8080 },
      ],
      protocol: 'http',
      sticky: false,
    },
  });
  const rpc = planUpstream(reference(81), service({ ports, sessionAffinity: 'ClientIP' }), slices);
  assert.deepEqual('state' in rpc && [rpc.state.protocol, rpc.state.sticky, rpc.state.targets.length], [
    'h2c',
    true,
    2,
  ]);
  const overridden = planUpstream(reference(81, 'h2'), service({ ports }), slices);
  assert.equal('state' in overridden && overridden.state.protocol, 'h2');
  const ending = [
    slice([{ name: 'http', port: 8080 }], { addresses: ['10.0.0.1'], conditions: { ready: false, serving: true } }),
  ];
  const last = planUpstream(reference(80), service({ ports }), ending);
  assert.deepEqual('state' in last && last.state.targets, [{ address: '10.0.0.1', port: 8080 }]);
  const external = planUpstream(reference(443), service({ type: 'ExternalName', externalName: 'x.test' }), []);
  assert.deepEqual('state' in external && external.state.external, { name: 'x.test', port: 443 });
  const bare = planUpstream(reference(5000), service({ clusterIP: 'None' }), [slice([], { addresses: ['10.0.0.9'] })]);
  assert.deepEqual('state' in bare && bare.state.targets, [{ address: '10.0.0.9', port: 5000 }]);
  for (const [wanted, at] of [
    ['ServiceNotFound', undefined],
    ['PortNotFound', service({ ports })],
  ] as const) {
    const missing = planUpstream(reference('none'), at, slices);
    assert.equal('reason' in missing && missing.reason, wanted);
  }
});
