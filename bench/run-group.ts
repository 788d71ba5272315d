/** Runs one group of rows in a process of its own: `node bench/run-group.ts GROUP OPTIONS-AS-JSON`. One line of JSON a row. */
import { groups } from './groups.ts';
import type { BenchOptions } from './measurement.ts';

const [, , name = '', text = '{"quick":true}'] = process.argv;
const group = groups.find((one) => one.name === name);
if (group === undefined) throw new Error(`no group ${name}; there are: ${groups.map((one) => one.name).join(' ')}`);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1));
const bench = await group.load();
await bench(JSON.parse(text) as BenchOptions, (row) => process.stdout.write(`${JSON.stringify(row)}\n`));
process.exit(0);
