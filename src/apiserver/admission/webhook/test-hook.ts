import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { systemClock } from '#base';
import { createAuthority, issueCertificate } from '#pki';

const nowMs = systemClock.nowMs();
const ca = createAuthority({ commonName: 'hook', days: 1, nowMs });
const credential = issueCertificate(ca, {
  commonName: 'hook',
  dnsNames: ['hook.default.svc'],
  ipAddresses: ['127.0.0.1'],
  usages: ['server'],
  days: 1,
  nowMs,
});

export type Review = {
  request: Record<string, unknown> & { uid: string; object: { metadata: { labels?: Record<string, string> } } };
};
export type Answer = (review: Review, request: IncomingMessage, response: ServerResponse) => object | undefined;

/** For this folder's tests: a webhook on loopback that answers as told, and keeps what it was asked. */
export async function hookServer(
  answer: Answer,
): Promise<{ url: string; port: number; calls: Review[]; closeConnections(): void } & AsyncDisposable> {
  const calls: Review[] = [];
  const server: Server = createServer(
    { key: credential.keyPem, cert: credential.certificatePem },
    async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const review = JSON.parse(Buffer.concat(parts).toString()) as Review;
      calls.push(review);
      const verdict = answer(review, request, response);
      if (verdict !== undefined)
        response.end(
          JSON.stringify({
            apiVersion: 'admission.k8s.io/v1',
            kind: 'AdmissionReview',
            response: { uid: review.request.uid, ...verdict },
          }),
        );
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}/check`,
    port,
    calls,
    closeConnections: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

export const caBundle = Buffer.from(ca.certificatePem).toString('base64');

export const patchOf = (operations: object[]): object => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});
