import type { TLSSocket } from 'node:tls';
import type { Clock } from '#base';
import { resource } from '#api';
import type { Client } from '#client';
import { parseCertificate } from '#pki';
import type { Identity } from '#wire';

const accessReviews = resource('authorization.k8s.io/v1', 'subjectaccessreviews');
const apiserverUser = 'kube-apiserver-kubelet-client';
const adminGroup = 'system:masters';
const allowedMs = 300_000;
const deniedMs = 30_000;
const mostRemembered = 1000;

/** Who is at the other end: the subject of a client certificate that the cluster's CA signed; undefined for anybody else. */
export function identityOf(socket: TLSSocket): Identity | undefined {
  if (!socket.authorized) return undefined;
  const raw = socket.getPeerX509Certificate()?.raw;
  if (raw === undefined) return undefined;
  const { commonName, organizations } = parseCertificate(raw).subject;
  return commonName === '' ? undefined : { user: commonName, groups: [...organizations, 'system:authenticated'] };
}

export interface AccessRequest {
  readonly identity: Identity;
  readonly verb: 'get' | 'create';
  /** Sub-resources of nodes, the narrowest first: any that is granted lets the request pass. */
  readonly subresources: readonly string[];
}

/** Asks the API server whether someone may use this node's kubelet; the API server itself and administrators always may. */
export function openAuthorizer(options: {
  readonly client: Client;
  readonly clock: Clock;
  readonly nodeName: string;
}): (request: AccessRequest) => Promise<boolean> {
  const { client, clock, nodeName } = options;
  const remembered = new Map<string, { readonly allowed: boolean; readonly untilMs: number }>();

  async function review({ user, groups }: Identity, verb: string, subresource: string): Promise<boolean> {
    const key = JSON.stringify([user, groups, verb, subresource]);
    const known = remembered.get(key);
    if (known !== undefined && known.untilMs > clock.monotonicMs()) return known.allowed;
    const answer = (await client.create(accessReviews, {
      metadata: {},
      spec: {
        user,
        groups: [...groups],
        resourceAttributes: { verb, version: 'v1', resource: 'nodes', subresource, name: nodeName },
      },
    } as never)) as unknown as { status?: { allowed?: boolean } };
    const allowed = answer.status?.allowed === true;
    if (remembered.size >= mostRemembered) remembered.clear();
    remembered.set(key, { allowed, untilMs: clock.monotonicMs() + (allowed ? allowedMs : deniedMs) });
    return allowed;
  }

  return async ({ identity, verb, subresources }) => {
    if (identity.user === apiserverUser || identity.groups.includes(adminGroup)) return true;
    for (const subresource of subresources) if (await review(identity, verb, subresource)) return true;
    return false;
  };
}
