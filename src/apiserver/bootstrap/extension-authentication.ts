import type { ServerObjects } from '../contract.ts';
import { put } from './put.ts';

/** What aggregated servers need to know to trust this one: the ConfigMap extension-apiserver-authentication in kube-system. */
export interface ExtensionAuthentication {
  /** PEM. */
  readonly clientCa: string;
  readonly requestHeaderCa: string;
  readonly allowedNames: readonly string[];
}

export function keepExtensionAuthentication(objects: ServerObjects, trust: ExtensionAuthentication): Promise<void> {
  const list = (values: readonly string[]): string => JSON.stringify(values);
  const map = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' },
    data: {
      'client-ca-file': trust.clientCa,
      'requestheader-allowed-names': list(trust.allowedNames),
      'requestheader-client-ca-file': trust.requestHeaderCa,
      'requestheader-extra-headers-prefix': list(['X-Remote-Extra-']),
      'requestheader-group-headers': list(['X-Remote-Group']),
      'requestheader-uid-headers': list(['X-Remote-Uid']),
      'requestheader-username-headers': list(['X-Remote-User']),
    },
  };
  return put(objects.transport(), '/api/v1/namespaces/kube-system/configmaps', map, true);
}
