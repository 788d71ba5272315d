import { type ConfigMap, type Namespace, resource } from '#api';
import { changesOf, type Outcome, startController } from '#client';
import { isAlreadyExists, isNamespaceTerminating, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';

const namespaces = resource('v1', 'namespaces');
const configMaps = resource('v1', 'configmaps');
const mapName = 'kube-root-ca.crt';
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service ' +
  'IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

/** Every namespace has a ConfigMap `kube-root-ca.crt` with the certificate that pods check the API server's against. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log, settings } = context;
  const namespaceInformer = informers.of<Namespace>(namespaces);
  const maps = informers.of<ConfigMap>(configMaps, { fieldSelector: `metadata.name=${mapName}` });
  const data = { 'ca.crt': settings.rootCa ?? '' };
  const annotations = { 'kubernetes.io/description': description };

  async function reconcile(name: string): Promise<Outcome> {
    if (settings.rootCa === undefined) return;
    const namespace = namespaceInformer.get(undefined, name);
    if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return;
    const present = maps.get(name, mapName);
    try {
      if (present === undefined) {
        maps.observe(
          await client.create<ConfigMap>(configMaps, {
            metadata: { namespace: name, name: mapName, annotations },
            data,
          }),
        );
        return;
      }
      const keys = Object.keys(present.data ?? {});
      const right = keys.length === 1 && present.data?.['ca.crt'] === data['ca.crt'];
      if (right && present.metadata.annotations?.['kubernetes.io/description'] !== undefined) return;
      const metadata = { ...present.metadata, annotations: { ...present.metadata.annotations, ...annotations } };
      maps.observe(await client.update<ConfigMap>(configMaps, { ...present, metadata, data }));
    } catch (error) {
      if (!isAlreadyExists(error) && !isNamespaceTerminating(error) && !isNotFound(error)) throw error;
    }
  }

  return startController({
    name: 'root-ca-publisher',
    queueName: 'root_ca_cert_publisher',
    clock,
    log,
    sources: [changesOf(namespaceInformer), changesOf(maps, ({ metadata }) => metadata.namespace)],
    reconcile,
  });
}

export const rootCaController = defineController({ name: 'root-ca-certificate-publisher-controller', start });
