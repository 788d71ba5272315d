import type { Pod } from '#api';
import { errBadRequest, errNotFound } from '#machinery';
import type { KindResource } from '../resources/kind-resource.ts';

export async function findPod(pods: KindResource, namespace: string, name: string): Promise<Pod> {
  const found = await pods.storage.get(pods.key(namespace, name));
  if (found === undefined) throw errNotFound(pods.groupResource, name);
  return found.object as unknown as Pod;
}

/** The container that a request means: the one it names, or the only one. */
export function containerOf(pod: Pod, asked: string | null): string {
  const { spec } = pod;
  const names = (list: readonly { readonly name: string }[] | undefined): string[] =>
    (list ?? []).map((one) => one.name);
  const containers = names(spec?.containers);
  const init = names(spec?.initContainers);
  const ephemeral = names(spec?.ephemeralContainers);
  if (asked !== null && asked !== '') {
    if ([...containers, ...init, ...ephemeral].includes(asked)) return asked;
    throw errBadRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`);
  }
  if (containers.length === 1) return containers[0] as string;
  if (containers.length === 0) throw errBadRequest(`no container in pod ${pod.metadata.name}`);
  const others =
    (init.length > 0 ? ` or one of the init containers: [${init.join(' ')}]` : '') +
    (ephemeral.length > 0 ? ` or one of the ephemeral containers: [${ephemeral.join(' ')}]` : '');
  throw errBadRequest(
    `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${containers.join(' ')}]${others}`,
  );
}
