import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { serve } from './server.ts';

/** Files of the ConfigMap and the Secret: read at every use, so that a change is seen without a restart. */
const setting = (name: string): string => readFileSync(`/etc/shop/${name}`, 'utf8').trim();
const password = (): string => readFileSync('/etc/shop-secret/password', 'utf8').trim();
const storeUrl = process.env.STORE_URL ?? 'http://store-0.store:8080';

async function askStore(
  method: string,
  body?: object,
): Promise<{ readonly orders: number; readonly servedBy: string }> {
  const response = await fetch(`${storeUrl}/orders`, {
    method,
    headers: { authorization: `Bearer ${password()}` },
    signal: AbortSignal.timeout(5000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`the store answers ${response.status}`);
  return (await response.json()) as { orders: number; servedBy: string };
}

/** Keeps one processor busy: what the autoscaler looks at. */
function work(milliseconds: number): number {
  const end = performance.now() + Math.min(milliseconds, 200);
  let rounds = 0;
  while (performance.now() < end) rounds++;
  return rounds;
}

serve(8080, {
  'GET /api/products': () => ({
    body: { shop: setting('name'), currency: setting('currency'), products: JSON.parse(setting('products.json')) },
  }),
  'GET /api/orders': async () => ({ body: { ...(await askStore('GET')), api: hostname() } }),
  'POST /api/orders': async (_request, body) => {
    const { product } = JSON.parse(body) as { product?: unknown };
    if (typeof product !== 'string' || product === '')
      return { status: 400, body: { error: 'an order names a product' } };
    return { status: 201, body: { ...(await askStore('POST', { product })), api: hostname() } };
  },
  'GET /api/work': () => ({ body: { rounds: work(100) } }),
  'GET /healthz': () => ({ body: 'ok' }),
});
