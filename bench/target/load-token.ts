import { type ClusterRoleBinding, resource, type ServiceAccount } from '#api';
import type { ApiTarget } from './api-target.ts';

export interface LoadToken {
  readonly token: string;
  /** Takes away what was granted. */
  revoke(): Promise<void>;
}

const accounts = resource('v1', 'serviceaccounts');
const bindings = resource('rbac.authorization.k8s.io/v1', 'clusterrolebindings');

/**
 * A bearer token that may do everything, because h2load knows no client certificates. A kubeconfig's own token is taken as it is;
 * else a ServiceAccount is made in `namespace` and bound to cluster-admin.
 */
export async function loadToken(api: ApiTarget, namespace: string): Promise<LoadToken> {
  if (api.token !== undefined) return { token: api.token, revoke: async () => {} };
  const name = 'bench-load';
  const binding = `bench-load-${namespace}`;
  await api.client.create<ServiceAccount>(accounts, { metadata: { name, namespace } });
  await api.client.create<ClusterRoleBinding>(bindings, {
    metadata: { name: binding },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  });
  const { status } = await api.client.createSubresource<{ status: { token: string } }>(
    accounts,
    name,
    'token',
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } },
    { namespace },
  );
  return { token: status.token, revoke: () => api.client.delete(bindings, binding).catch(() => {}) };
}
