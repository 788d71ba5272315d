import { errServiceUnavailable } from '#machinery';
import type { ServerObjects } from '../contract.ts';
import type { ResourceContext, Verb } from '../resources/context.ts';
import { podConnect } from './connect.ts';
import { KubeletDirectory, type KubeletClientOptions } from './kubelet.ts';
import { podLog } from './log.ts';
import { nodeProxy, podProxy, serviceProxy } from './proxy.ts';

/** Sub-resources that reach beyond the store: into kubelets, pods and Services. */
export function streamSubresources(options: {
  readonly context: ResourceContext;
  readonly objects: ServerObjects;
  /** Absent: this server has no way to kubelets. */
  readonly kubelet: KubeletClientOptions | undefined;
}): readonly (readonly [string, ReadonlyMap<string, Verb>])[] {
  const { context, objects, kubelet } = options;
  const allowLoopback = kubelet?.allowLoopback === true;
  const viaKubelet = (make: (kubelets: KubeletDirectory) => Verb): Verb => {
    if (kubelet !== undefined) return make(new KubeletDirectory(objects, kubelet));
    return async () => {
      throw errServiceUnavailable('this server has no credentials for kubelets');
    };
  };
  const all = (verb: Verb): ReadonlyMap<string, Verb> => new Map([['*', verb]]);
  return [
    ['/pods/log', new Map([['get', viaKubelet(podLog)]])],
    ['/pods/exec', all(viaKubelet((kubelets) => podConnect(kubelets, 'exec')))],
    ['/pods/attach', all(viaKubelet((kubelets) => podConnect(kubelets, 'attach')))],
    ['/pods/portforward', all(viaKubelet((kubelets) => podConnect(kubelets, 'portforward')))],
    ['/pods/proxy', all(podProxy(allowLoopback))],
    ['/services/proxy', all(serviceProxy(objects, context.random, allowLoopback))],
    ['/nodes/proxy', all(viaKubelet(nodeProxy))],
  ];
}
