import type { Closable } from '#base';
import type { KindCatalogue } from '#kinds';
import type { Route, ServerObjects } from './contract.ts';
import type { KindHooks, ResourceContext, Verb } from './resources/context.ts';
import { namespaceFinalize, namespaceHooks } from './resources/namespaces.ts';
import { Aggregator } from './aggregation/aggregator.ts';
import { keepLocalServices } from './aggregation/local-services.ts';
import { expressionHooks } from './admission/policy/definition-check.ts';
import { PolicyTypeChecking } from './admission/policy/type-checking.ts';
import { keepExtensionAuthentication } from './bootstrap/extension-authentication.ts';
import { keepKubernetesService } from './bootstrap/kubernetes-service.ts';
import { makeServiceCidr } from './bootstrap/service-cidr.ts';
import { startServerPresence } from './bootstrap/server-presence.ts';
import { CustomResources, customResourceDefinitionHooks } from './crd/registrar.ts';
import { approval, certificateRequestHooks } from './resources/certificate-requests.ts';
import { bindPod } from './resources/pods/binding.ts';
import { evictPod } from './resources/pods/eviction.ts';
import { ephemeralContainers, resize } from './resources/pods/pod-parts.ts';
import { ServiceAllocator } from './resources/services/allocator.ts';
import { ServiceClaims } from './resources/services/claims.ts';
import { serviceHooks } from './resources/services/hooks.ts';
import { openMetricsApi } from './metrics-api/metrics-api.ts';
import { KubeletDirectory } from './streams/kubelet.ts';
import { streamSubresources } from './streams/subresources.ts';
import { createToken } from './resources/token-request.ts';
import type { ApiServerOptions } from './server.ts';

const defaultServiceRanges = ['10.96.0.0/12'];
const defaultNodePorts = [30000, 32767] as const;

/** What the server is made of beyond the generic resources. */
export interface ServerParts {
  readonly subresources: ReadonlyMap<string, ReadonlyMap<string, Verb>>;
  readonly routes: readonly Route[];
  /** Groups that other servers serve. */
  readonly aggregator: Aggregator;
  /** After the first objects are there. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Wires the parts: one line each. */
export async function serverParts(wiring: {
  options: ApiServerOptions;
  context: ResourceContext;
  objects: ServerObjects;
  catalogue: KindCatalogue;
  hooks: Map<string, KindHooks>;
}): Promise<ServerParts> {
  const { hooks, context, objects, options } = wiring;
  const ranges = options.services?.ranges ?? defaultServiceRanges;
  const allocator = new ServiceAllocator(
    { ranges, nodePorts: options.services?.nodePorts ?? defaultNodePorts },
    { services: objects.view('v1', 'services'), serviceCidrs: objects.view('networking.k8s.io/v1', 'servicecidrs') },
    context.random,
  );
  const customResources = new CustomResources(context, objects);
  const { clock, random, log } = context;
  const kubelets = options.kubelet === undefined ? undefined : new KubeletDirectory(objects, options.kubelet);
  const metrics = openMetricsApi({ objects, kubelets, clock, log });
  const typeChecking = new PolicyTypeChecking(objects, context.log);
  const aggregator = new Aggregator({
    ...{ objects, options: options.aggregation, clock, random, log },
    local: [metrics],
  });
  hooks.set('/namespaces', namespaceHooks);
  hooks.set('apiextensions.k8s.io/customresourcedefinitions', customResourceDefinitionHooks);
  for (const [name, one] of expressionHooks) hooks.set(name, one);
  const claims = context.store.newestRevision === undefined ? undefined : new ServiceClaims(context, allocator);
  hooks.set('/services', serviceHooks(allocator, claims));
  hooks.set('certificates.k8s.io/certificatesigningrequests', certificateRequestHooks);
  const subresources = new Map<string, ReadonlyMap<string, Verb>>([
    ['/namespaces/finalize', new Map([['update', namespaceFinalize]])],
    ['/pods/binding', new Map([['create', bindPod]])],
    ['/pods/eviction', new Map([['create', evictPod]])],
    ['/pods/ephemeralcontainers', ephemeralContainers],
    ['/pods/resize', resize],
    ['/serviceaccounts/token', new Map([['create', createToken]])],
    ['certificates.k8s.io/certificatesigningrequests/approval', approval],
    ...streamSubresources({ context, objects, kubelet: options.kubelet }),
  ]);
  let localServices: Closable | undefined;
  let presence: Closable | undefined;
  return {
    subresources,
    routes: [],
    aggregator,
    async start() {
      await Promise.all([customResources.start(), aggregator.start(), typeChecking.start()]);
      if (options.localServices === true)
        localServices = keepLocalServices({ objects, catalogue: wiring.catalogue, local: [metrics], clock, log });
      const { extensionAuthentication } = options;
      if (extensionAuthentication !== undefined) await keepExtensionAuthentication(objects, extensionAuthentication);
      await makeServiceCidr({ objects, ranges, clock });
      const { advertise } = options;
      if (advertise === undefined) return;
      const service = { objects, range: ranges[0] as string, advertise };
      if (context.store.newestRevision === undefined) await keepKubernetesService(service);
      else {
        presence = await startServerPresence({
          ...{ store: context.store, clock, log },
          ...advertise,
          onServers: (addresses) => keepKubernetesService({ ...service, addresses }),
        });
      }
    },
    async close() {
      await presence?.close();
      aggregator.close();
      await typeChecking.close();
      await localServices?.close();
      await customResources.close();
    },
  };
}
