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
    const asked: Record<string, unknown> = {};
    if (subresource === 'portforward') {
      const ports = [...options.getAll('ports'), ...options.getAll('port')];
      for (const port of ports) query.append('port', port);
      if (ports.length > 0) asked.ports = ports.flatMap((one) => one.split(',')).map(Number);
    } else {
      container = containerOf(pod, options.get('container'));
      const command = options.getAll('command');
      if (subresource === 'exec' && command.length === 0)
        throw errBadRequest('you must specify at least 1 command for the container');
      let streams = 0;
      for (const [name, forKubelet] of streamOptions) {
        const value = options.get(name);
        // Absent stdout and stderr mean true, as PodExecOptions' defaults.
        const wanted = value === null ? name === 'stdout' || name === 'stderr' : value !== 'false' && value !== '0';
        if (!wanted) continue;
        query.set(forKubelet, '1');
        asked[name] = true;
        if (name !== 'tty') streams++;
      }
      if (query.has('tty')) query.delete('error');
      if (streams === 0) throw errBadRequest('you must specify at least one of stdin, stdout, stderr');
      for (const one of command) query.append('command', one);
      asked.container = container;
      if (command.length > 0) asked.command = command;
    }
    await admitConnect(context, kind, request, kinds[subresource] as string, asked);
    const nodeName = pod.spec?.nodeName ?? '';
    if (nodeName === '') throw errBadRequest(`pod ${name} does not have a host assigned`);
    const verb = subresource === 'portforward' ? 'portForward' : subresource;
    const path = [verb, namespace, name, ...(container === '' ? [] : [container])].map(encodeURIComponent).join('/');
    return forwardUpgrade(request, await kubelets.backend(nodeName, `/${path}?${query}`, request.identity));
  };
}

/** CONNECT admission: only validation has a say. It sees the request's options with their types: `asked`, or texts as they came. */
export async function admitConnect(
  context: ResourceContext,
  kind: KindResource,
  request: ServerRequest,
  kindName: string,
  asked: Record<string, unknown> = Object.fromEntries(request.info.options),
): Promise<void> {
  const object = { ...asked, apiVersion: 'v1', kind: kindName, metadata: {} };
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
