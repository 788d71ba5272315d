import { join } from 'node:path';
import { environmentVariable } from '#base';

/** The file that kubectl reads by default: the first of $KUBECONFIG, or ~/.kube/config. */
export function defaultKubeconfigFile(): string {
  const first = environmentVariable('KUBECONFIG')
    ?.split(':')
    .find((one) => one !== '');
  return first ?? join(environmentVariable('HOME') ?? '/root', '.kube', 'config');
}
