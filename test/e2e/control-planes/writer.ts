import { readFileSync } from 'node:fs';
import { openHttpsTransport } from '#wire';

/**
 * Writes ConfigMaps one after the other, at whatever API server answers, and prints each as soon as it is acknowledged: its name, its
 * resourceVersion, who answered, and when. What was not acknowledged is not printed, and its name is not used again.
 *
 *   node writer.ts ADMIN.json NAME          ADMIN.json: { servers, ca, cert, key }
 */
const [file = '', writer = ''] = process.argv.slice(2);
const { servers, ca, cert, key } = JSON.parse(readFileSync(file, 'utf8')) as {
  servers: string[];
  ca: string;
  cert: string;
  key: string;
};
const patienceMs = 4000;
const open = (server: string) => openHttpsTransport({ server, ca, clientCert: cert, clientKey: key });
const transports = servers.map(open);
let at = 0;

for (let count = 0; ; count++) {
  const name = `${writer}-${count}`;
  try {
    const transport = transports[at] as ReturnType<typeof open>;
    const response = await transport.request({
      method: 'POST',
      target: '/api/v1/namespaces/default/configmaps',
      objectBody: { metadata: { name }, data: { count: String(count) } },
      signal: AbortSignal.timeout(patienceMs),
    });
    const body = JSON.parse(Buffer.from(await response.bytes()).toString());
    if (response.status !== 201) throw new Error(`${response.status} ${body.message}`);
    const { resourceVersion, uid } = body.metadata;
    process.stdout.write(`${JSON.stringify({ name, resourceVersion, uid, server: at, atMs: Date.now() })}\n`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  } catch (error) {
    process.stderr.write(`${name} at ${servers[at]}: ${error}\n`);
    at = (at + 1) % servers.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
