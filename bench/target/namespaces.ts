import { type Namespace, resource } from '#api';
import { type ApiTarget, until } from './api-target.ts';

const namespaces = resource('v1', 'namespaces');
const removalLimitMs = 90_000;

export async function createNamespace(api: ApiTarget, name: string): Promise<void> {
  await api.client.create<Namespace>(namespaces, { metadata: { name }, spec: {} });
}

/** Deletes a namespace and waits until it is gone (a while at most): what is measured next must not compete with the clearing up. */
export async function removeNamespace(api: ApiTarget, name: string): Promise<void> {
  await api.client.delete(namespaces, name).catch(() => {});
  const gone = async (): Promise<boolean> => {
    const response = await api.transport.request({ method: 'GET', target: `/api/v1/namespaces/${name}` });
    await response.bytes();
    return response.status === 404;
  };
  await until(gone, { limitMs: removalLimitMs, everyMs: 200, what: `namespace ${name} gone` }).catch((error) => {
    process.stderr.write(`${error.message}\n`);
  });
}
