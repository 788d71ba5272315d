import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAnnotations } from './annotations.ts';
import { backendKeyOf, type MatchType, type RoutePlan } from './read-ingress.ts';
import { RouteTable } from './route-table.ts';

const { options } = parseAnnotations({});
const plan = (host: string, type: MatchType, path: string, service: string): RoutePlan => ({
  host,
  type,
  path: type !== 'Exact' && path.endsWith('/') ? path.slice(0, -1) : path,
  backend: { namespace: 'default', service, port: 80 },
  backendKey: backendKeyOf({ namespace: 'default', service, port: 80 }),
  options,
  ingress: 'default/x',
});
const tableOf = (...routes: readonly RoutePlan[]): RouteTable => new RouteTable({ routes, defaults: [], tlsHosts: [] });
const found = (table: RouteTable, host: string, path: string): string | undefined =>
  table.find(host, path)?.backend.service;

test("upstream's examples of path types", () => {
  // kind, path of the rule, path of the request, matches
  for (const [type, rule, path, matches] of [
    ['Prefix', '/', '/any/path', true],
    ['Exact', '/foo', '/foo', true],
    ['Exact', '/foo', '/bar', false],
    ['Exact', '/foo', '/foo/', false],
    ['Exact', '/foo/', '/foo', false],
    ['Prefix', '/foo', '/foo', true],
    ['Prefix', '/foo', '/foo/', true],
    ['Prefix', '/foo/', '/foo', true],
    ['Prefix', '/foo/', '/foo/', true],
    ['Prefix', '/aaa/bb', '/aaa/bbb', false],
    ['Prefix', '/aaa/bbb', '/aaa/bbb', true],
    ['Prefix', '/aaa/bbb/', '/aaa/bbb', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbb/', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbb/ccc', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbbxyz', false],
    ['Prefix', '/foo', '/FOO', false],
    ['Prefix', '/a', '//a', true],
    ['Prefix', '/a', '/%61', true],
  ] as const)
    assert.equal(found(tableOf(plan('', type, rule, 's')), 'h', path) === 's', matches, `${type} ${rule} ${path}`);
});

test('hosts: exact before wildcard before every host; a wildcard is one label', () => {
  const table = tableOf(
    plan('a.x.io', 'Prefix', '/', 'exact'),
    plan('*.x.io', 'Prefix', '/', 'wild'),
    plan('', 'Prefix', '/', 'any'),
  );
  for (const [host, service] of [
    ['a.x.io', 'exact'],
    ['b.x.io', 'wild'],
    ['a.b.x.io', 'any'],
    ['x.io', 'any'],
    ['', 'any'],
    ['.x.io', 'any'],
    ['*.x.io', 'wild'],
  ] as const)
    assert.equal(found(table, host, '/p'), service, host);
});

test('a host that has no rule for a path leaves it to the wildcard and to the rules of every host', () => {
  const table = tableOf(plan('a.x.io', 'Prefix', '/a', 'exact'), plan('*.x.io', 'Prefix', '/b', 'wild'));
  assert.equal(found(table, 'a.x.io', '/b'), 'wild');
  assert.equal(found(table, 'a.x.io', '/c'), undefined);
});

test('longest path first; of equals Exact, Prefix, ImplementationSpecific', () => {
  const table = tableOf(
    plan('', 'ImplementationSpecific', '/a', 'specific'),
    plan('', 'Prefix', '/a', 'prefix'),
    plan('', 'Exact', '/a', 'exact'),
    plan('', 'Prefix', '/a/b/c', 'long'),
    plan('', 'Prefix', '/', 'root'),
  );
  assert.equal(found(table, 'h', '/a'), 'exact');
  assert.equal(found(table, 'h', '/a/'), 'prefix');
  assert.equal(found(table, 'h', '/a/b'), 'prefix');
  assert.equal(found(table, 'h', '/a/b/c/d'), 'long');
  assert.equal(found(table, 'h', '/z'), 'root');
});

test('names of objects are no paths or hosts', () => {
  const table = tableOf(plan('a', 'Prefix', '/a', 's'));
  for (const name of ['__proto__', 'constructor', 'toString']) assert.equal(found(table, name, `/${name}`), undefined);
});

/** The specification word for word: every rule is looked at. */
function naive(routes: readonly RoutePlan[], host: string, path: string): string | undefined {
  const elements = (text: string): string[] => text.split('/').filter((one) => one !== '');
  const hostRank = (rule: string): number => {
    if (rule === host) return 2;
    if (rule.startsWith('*.')) {
      const [, ...rest] = host.split('.');
      return rest.join('.') === rule.slice(2) && !host.startsWith('.') ? 1 : -1;
    }
    return rule === '' ? 0 : -1;
  };
  const typeRank = { Exact: 2, Prefix: 1, ImplementationSpecific: 0 };
  const matching = routes.filter((one) => {
    if (hostRank(one.host) < 0) return false;
    if (one.type === 'Exact') return one.path === path.replace(/\/{2,}/g, '/');
    const [wanted, got] = [elements(one.path), elements(path)];
    return wanted.every((element, index) => element === got[index]);
  });
  matching.sort(
    (a, b) =>
      hostRank(b.host) - hostRank(a.host) ||
      Number(b.type === 'Exact') - Number(a.type === 'Exact') ||
      elements(b.path).length - elements(a.path).length ||
      typeRank[b.type] - typeRank[a.type],
  );
  return matching[0]?.backend.service;
}

test('the table finds what a look at every rule finds', () => {
  const element = fc.constantFrom('a', 'b', 'ab', 'a.b');
  const path = fc
    .tuple(fc.array(element, { maxLength: 4 }), fc.boolean())
    .map(([elements, slash]) => `/${elements.join('/')}${slash && elements.length > 0 ? '/' : ''}`);
  const host = fc.constantFrom('', 'x', 'a.x', 'b.x', '*.x', '*.a.x');
  const rule = fc.tuple(host, fc.constantFrom<MatchType>('Exact', 'Prefix', 'ImplementationSpecific'), path);
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 12 }),
      fc.constantFrom('x', 'a.x', 'b.x', 'c.x', 'z.a.x', 'y', ''),
      fc.oneof(
        path,
        path.map((one) => one.replace('/', '//')),
      ),
      (rules, askedHost, askedPath) => {
        const routes: RoutePlan[] = [];
        const places = new Set<string>();
        for (const [index, [ruleHost, type, rulePath]] of rules.entries()) {
          const one = plan(ruleHost, type, rulePath, `s${index}`);
          const place = JSON.stringify([one.host, one.type, one.path]);
          if (!places.has(place)) routes.push(one);
          places.add(place);
        }
        assert.equal(found(tableOf(...routes), askedHost, askedPath), naive(routes, askedHost, askedPath));
      },
    ),
    { numRuns: 3000 },
  );
});
