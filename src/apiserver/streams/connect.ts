import { errBadRequest } from '#machinery';
import { admit } from '../resources/admit.ts';
import type { ResourceContext, Verb } from '../resources/context.ts';
import type { KindResource } from '../resources/kind-resource.ts';
import type { ServerRequest } from '../contract.ts';
import { forwardUpgrade } from './backend.ts';
import type { KubeletDirectory } from './kubelet.ts';
import { containerOf, findPod } from './pod-target.ts';

const streamOptions: readonly (readonly [asked: string, kubelet: string])[] = [
  ['stdin', 'input'],
  ['stdout', 'output'],
  ['stderr', 'error'],
  ['tty', 'tty'],
];
const kinds: Readonly<Record<string, string>> = {
  exec: 'PodExecOptions',
  attach: 'PodAttachOptions',
  portforward: 'PodPortForwardOptions',
};

/** pods/NAME/exec, attach and portforward: the client's connection joined with the kubelet's. */
export function podConnect(kubelets: KubeletDirectory, subresource: 'exec' | 'attach' | 'portforward'): Verb {
  return async (context, kind, request) => {
    const { options, namespace, name } = request.info;
    const pod = await findPod(kind, namespace, name);
    const query = new URLSearchParams();
    let container = '';
    if (subresource === 'portforward') {
      for (const port of [...options.getAll('ports'), ...options.getAll('port')]) query.append('port', port);
    } else {
      container = containerOf(pod, options.get('container'));
      const command = options.getAll('command');
      if (subresource === 'exec' && command.length === 0)
        throw errBadRequest('you must specify at least 1 command for the container');
      let streams = 0;
      for (const [asked, forKubelet] of streamOptions) {
        const value = options.get(asked);
        // Absent stdout and stderr mean true, as PodExecOptions' defaults.
        const wanted = value === null ? asked === 'stdout' || asked === 'stderr' : value !== 'false' && value !== '0';
        if (!wanted) continue;
        query.set(forKubelet, '1');
        if (asked !== 'tty') streams++;
      }
      if (query.has('tty')) query.delete('error');
      if (streams === 0) throw errBadRequest('you must specify at least one of stdin, stdout, stderr');
      for (const one of command) query.append('command', one);
    }
    await admitConnect(context, kind, request, kinds[subresource] as string);
    const nodeName = pod.spec?.nodeName ?? '';
    if (nodeName === '') throw errBadRequest(`pod ${name} does not have a host assigned`);
    const verb = subresource === 'portforward' ? 'portForward' : subresource;
    const path = [verb, namespace, name, ...(container === '' ? [] : [container])].map(encodeURIComponent).join('/');
    return forwardUpgrade(request, await kubelets.backend(nodeName, `/${path}?${query}`));
  };
}

/** CONNECT admission: only validation has a say. */
export async function admitConnect(
  context: ResourceContext,
  kind: KindResource,
  request: ServerRequest,
  kindName: string,
): Promise<void> {
  const object = { apiVersion: 'v1', kind: kindName, metadata: {}, ...Object.fromEntries(request.info.options) };
  const admission = admit({
    context,
    request,
    operation: 'CONNECT',
    definition: kind.definition,
    kind: { group: '', version: 'v1', kind: kindName },
    object: object as never,
    name: request.info.name,
    dryRun: false,
  });
  await admission.mutate();
  await admission.validate();
}
