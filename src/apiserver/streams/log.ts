import { errBadRequest, errInvalid, type FieldError, invalidError } from '#machinery';
import type { ServerResponse } from '../contract.ts';
import type { Verb } from '../resources/context.ts';
import { integerOption } from '../resources/write-options.ts';
import { forward, refusal } from './backend.ts';
import type { KubeletDirectory } from './kubelet.ts';
import { containerOf, findPod } from './pod-target.ts';

const flags = ['follow', 'previous', 'timestamps'] as const;
const longestRefusal = 64 * 1024;

/** GET pods/NAME/log: what the kubelet has of a container's output, streamed. */
export function podLog(kubelets: KubeletDirectory): Verb {
  return async (_context, kind, request): Promise<ServerResponse> => {
    const { options, namespace, name } = request.info;
    const sinceSeconds = integerOption(request, 'sinceSeconds');
    const tailLines = integerOption(request, 'tailLines');
    const limitBytes = integerOption(request, 'limitBytes');
    const errors: FieldError[] = [];
    if (tailLines !== undefined && tailLines < 0)
      errors.push(invalidError('tailLines', tailLines, 'must be greater than or equal to 0'));
    if (limitBytes !== undefined && limitBytes < 1)
      errors.push(invalidError('limitBytes', limitBytes, 'must be greater than 0'));
    if (sinceSeconds !== undefined && options.has('sinceTime')) {
      errors.push({
        type: 'FieldValueForbidden',
        field: '[]',
        detail: 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
      });
    } else if (sinceSeconds !== undefined && sinceSeconds < 1) {
      errors.push(invalidError('sinceSeconds', sinceSeconds, 'must be greater than 0'));
    }
    if (errors.length > 0) throw errInvalid({ group: '', kind: 'PodLogOptions' }, name, errors);
    const pod = await findPod(kind, namespace, name);
    const container = containerOf(pod, options.get('container'));
    const nodeName = pod.spec?.nodeName ?? '';
    if (nodeName === '') return { status: 204, headers: {} };
    const query = new URLSearchParams();
    for (const flag of flags)
      if (options.has(flag) && options.get(flag) !== 'false' && options.get(flag) !== '0') query.set(flag, 'true');
    for (const field of ['sinceSeconds', 'sinceTime', 'tailLines', 'limitBytes', 'stream']) {
      const value = options.get(field);
      if (value !== null && value !== '') query.set(field, value);
    }
    const path = ['containerLogs', namespace, name, container].map(encodeURIComponent).join('/');
    const backend = await kubelets.backend(nodeName, `/${path}?${query}`, request.identity);
    const response = await forward(request, backend);
    if (response.status >= 400) throw await refused(response);
    return { ...response, headers: { 'content-type': 'text/plain' } };
  };
}

/** An error answer's text as an error of ours. */
async function refused(response: ServerResponse): Promise<Error> {
  const text = await new Promise<string>((resolve) => {
    let collected = '';
    const done = (): void => resolve(collected);
    response.stream?.({
      write(bytes) {
        if (collected.length < longestRefusal) collected += Buffer.from(bytes).toString();
        return true;
      },
      onDrain() {},
      pendingBytes: 0,
      end: done,
      destroy: done,
      onClose() {},
    });
  });
  return text === '' && response.status === 400
    ? errBadRequest('the kubelet refused the request')
    : refusal(response.status, text);
}
