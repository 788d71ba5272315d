/**
 * Keeps the ways to other nodes' pods in the network namespace that it is started in, as an agent does, with nodes from a file instead
 * of the API: `node keep-ways.ts NAME ADDRESS UPLINK NODES.json`. The file is read again at each line on standard input; `ok` is
 * answered when the change has been handed over. Ends with its input.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Node } from '#api';
import { openLog, systemClock } from '#base';
import type { Change, Informers } from '#client';
import { startPodRoutes } from '#network';

const [, , nodeName = '', nodeIp = '', uplink = '', file = ''] = process.argv;
const read = (): Node[] => JSON.parse(readFileSync(file, 'utf8')) as Node[];
let nodes = read();
let handler: (change: Change<Node>) => void = () => {};
const informers = {
  of: () => ({
    synced: Promise.resolve(),
    hasSynced: true,
    list: () => nodes,
    onChange: (given: typeof handler) => {
      handler = given;
      return () => {};
    },
  }),
} as unknown as Informers;
const log = openLog();
const ways = await startPodRoutes({ nodeName, nodeIp, uplink, informers, clock: systemClock, log });
console.log('ok');
for await (const _ of createInterface({ input: process.stdin })) {
  const before = nodes;
  nodes = read();
  for (const object of before)
    if (!nodes.some((one) => one.metadata.name === object.metadata.name)) handler({ type: 'deleted', object });
  for (const object of nodes) handler({ type: 'added', object });
  console.log('ok');
}
await ways.close();
