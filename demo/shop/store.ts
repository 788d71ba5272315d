import { timingSafeEqual } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { readFileSync } from 'node:fs';
import { serve } from './server.ts';

const file = `${process.env.DATA ?? '/data'}/orders.jsonl`;
const known = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
  if (error.code === 'ENOENT') return '';
  throw error;
});
// A line cut short by a power cut was never acknowledged.
let orders = known.split('\n').length - 1;
const journal = await open(file, 'a');

function isAllowed(header: string | undefined): boolean {
  const wanted = Buffer.from(`Bearer ${readFileSync('/etc/shop-secret/password', 'utf8').trim()}`);
  const given = Buffer.from(header ?? '');
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

const refused = { status: 401, body: { error: 'the store needs the password of the Secret shop' } };
const state = (): object => ({ orders, servedBy: hostname() });

serve(8080, {
  'GET /orders': ({ headers }) => (isAllowed(headers.authorization) ? { body: state() } : refused),
  async 'POST /orders'({ headers }, body) {
    if (!isAllowed(headers.authorization)) return refused;
    const { product } = JSON.parse(body) as { product: string };
    await journal.write(`${JSON.stringify({ product, at: new Date().toISOString() })}\n`);
    await journal.datasync();
    orders++;
    return { status: 201, body: state() };
  },
  'GET /healthz': () => ({ body: 'ok' }),
});
