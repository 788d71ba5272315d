import { readFileSync } from 'node:fs';
import { serve } from './server.ts';

const page = readFileSync(new URL('./page.html', import.meta.url), 'utf8');

serve(8080, {
  'GET /': () => ({ type: 'text/html; charset=utf-8', body: page }),
  'GET /whoami': () => ({ body: {} }),
  'GET /healthz': () => ({ body: 'ok' }),
});
