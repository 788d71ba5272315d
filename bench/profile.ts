/**
 * Where the API server's time goes on one kind of request: `node bench/profile.ts create|get|page|list [--json FILE]`; with `--allocations`,
 * who allocates on its JavaScript heap. Starts a server, fills it, puts the bench's load on it and prints the shares of its busy time; FILE opens in a browser's profiler.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openApiLoad } from './load/api-load.ts';
import { perSecond } from './load/generator.ts';
import { answers, openApiTarget, until } from './target/api-target.ts';
import { type Allocations, type Profile, startServerProcess } from './target/server-process.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    allocations: { type: 'boolean', default: false },
    json: { type: 'string' },
    top: { type: 'string', default: '40' },
  },
});
const server = await startServerProcess({ instrumented: true });
const api = await openApiTarget(server.kubeconfig);
await until(() => answers(api, '/readyz'), { limitMs: 20_000, what: '/readyz' });
const load = await openApiLoad(api);
await load.create('listed', 10_000);
const seconds = 5;
const paths = {
  create: () => load.create('written', 30_000),
  get: () => load.get(seconds),
  page: () => load.listPage(seconds),
  list: () => load.listAll(seconds),
};
const [wanted = 'create'] = positionals;
if (!Object.hasOwn(paths, wanted)) throw new Error(`say one of ${Object.keys(paths).join(', ')}`);
const run = paths[wanted as keyof typeof paths];
await (values.allocations ? server.startAllocations() : server.startProfile());
const result = await run();
const profile = values.allocations ? await server.stopAllocations() : await server.stopProfile();
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(profile));
console.log(`${wanted}: ${Math.round(perSecond(result))}/s with the profiler on`);
if ('head' in profile) printAllocations(profile, { requests: result.succeeded, top: Number(values.top) });
else printShares(profile, Number(values.top));
await api.close();
await server.stop();

/** Bytes a request by function, garbage and all. */
function printAllocations({ head }: Allocations, { requests, top }: { requests: number; top: number }): void {
  const own = new Map<string, number>();
  const waiting = [head];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    const { functionName, url, lineNumber } = node.callFrame;
    const file = url.replace(/^.*\/(?=src\/|node_modules\/)/, '');
    const name = `${functionName || '(anonymous)'} ${file}:${lineNumber + 1}`;
    own.set(name, (own.get(name) ?? 0) + node.selfSize);
    waiting.push(...node.children);
  }
  const all = [...own.values()].reduce((sum, one) => sum + one, 0);
  console.log(`bytes a request: ${Math.round(all / requests)}`);
  const sorted = [...own].sort((a, b) => b[1] - a[1]).slice(0, top);
  for (const [name, bytes] of sorted) console.log(`${String(Math.round(bytes / requests)).padStart(7)}  ${name}`);
}

function printShares(profile: Profile, top: number): void {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  const spent = new Map<number, number>();
  profile.samples?.forEach((id, i) => spent.set(id, (spent.get(id) ?? 0) + (profile.timeDeltas?.[i] ?? 0)));
  const own = new Map<string, number>();
  const places = new Map<string, number>();
  const inclusive = new Map<string, number>();
  let busy = 0;
  let all = 0;
  for (const [id, time] of spent) {
    const name = nameOf(id);
    all += time;
    if (name === '(idle)') continue;
    busy += time;
    own.set(name, (own.get(name) ?? 0) + time);
    const place = placeOf(name);
    places.set(place, (places.get(place) ?? 0) + time);
    const seen = new Set<string>();
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) seen.add(nameOf(at));
    for (const one of seen) inclusive.set(one, (inclusive.get(one) ?? 0) + time);
  }
  function nameOf(id: number): string {
    const { functionName, url, lineNumber } = (nodes.get(id) as Profile['nodes'][number]).callFrame;
    const file = url.replace(/^.*\/(?=src\/|node_modules\/)/, '');
    return file === '' ? functionName : `${functionName || '(anonymous)'} ${file}:${lineNumber + 1}`;
  }
  console.log(`its main thread was busy ${Math.round((100 * busy) / all)} % of the time`);
  for (const [title, table] of Object.entries({
    'by place': places,
    'in itself': own,
    'with what it calls': inclusive,
  })) {
    console.log(`\nshare ${title}`);
    const sorted = [...table].sort((a, b) => b[1] - a[1]).slice(0, top);
    for (const [name, time] of sorted) console.log(`${((100 * time) / busy).toFixed(1).padStart(5)} %  ${name}`);
  }
}

/** `src/store/engine` for a function of ours, the package or `node:http2` for others, V8's own name for its own work. */
function placeOf(name: string): string {
  const file = name.slice(name.lastIndexOf(' ') + 1);
  if (file.startsWith('src/')) return file.split('/').slice(0, -1).join('/');
  if (file.startsWith('node_modules/')) return file.split('/').slice(0, 2).join('/');
  return file.startsWith('node:') ? file.split(':').slice(0, 2).join(':') : name;
}
