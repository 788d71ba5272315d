import type { Clock } from '#base';
import { type Pod, resource } from '#api';
import type { Client } from '#client';
import { parseTimeMs } from '#machinery';

const serviceAccounts = resource('v1', 'serviceaccounts');
const dayMs = 24 * 3600 * 1000;

interface Known {
  readonly token: string;
  readonly expirationTimestamp: string;
  /** From then on a new one is asked for. */
  readonly refreshAtMs: number;
  readonly expiresAtMs: number;
}

export interface TokenSource {
  /** A token of the pod's service account, bound to the pod; kept until 80 % of its life or a day has passed. */
  token(
    pod: Pod,
    options: { readonly audience?: string; readonly expirationSeconds: number },
  ): Promise<{ token: string; refreshAtMs: number; expirationTimestamp: string }>;
  forget(podUid: string): void;
}

export function openTokenSource(options: { readonly client: Client; readonly clock: Clock }): TokenSource {
  const { client, clock } = options;
  const known = new Map<string, Map<string, Known>>();

  return {
    async token(pod, { audience, expirationSeconds }) {
      const { uid, namespace, name } = pod.metadata;
      const key = JSON.stringify([audience, expirationSeconds]);
      const ofPod = known.get(uid) ?? new Map<string, Known>();
      known.set(uid, ofPod);
      const nowMs = clock.nowMs();
      const last = ofPod.get(key);
      if (last !== undefined && nowMs < last.refreshAtMs) return last;
      try {
        const answer = await client.createSubresource<{ status?: { token: string; expirationTimestamp: string } }>(
          serviceAccounts,
          pod.spec?.serviceAccountName || 'default',
          'token',
          {
            apiVersion: 'authentication.k8s.io/v1',
            kind: 'TokenRequest',
            spec: {
              audiences: audience === undefined ? [] : [audience],
              expirationSeconds,
              boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
            },
          },
          { namespace },
        );
        const token = answer.status?.token ?? '';
        const expirationTimestamp = answer.status?.expirationTimestamp ?? '';
        const expiresAtMs = parseTimeMs(expirationTimestamp);
        const lifeMs = expiresAtMs - nowMs;
        const fresh = { token, expirationTimestamp, expiresAtMs, refreshAtMs: nowMs + Math.min(dayMs, lifeMs * 0.8) };
        ofPod.set(key, fresh);
        return fresh;
      } catch (error) {
        if (last !== undefined && nowMs < last.expiresAtMs) return { ...last, refreshAtMs: nowMs + 30_000 };
        throw error;
      }
    },
    forget: (podUid) => void known.delete(podUid),
  };
}
