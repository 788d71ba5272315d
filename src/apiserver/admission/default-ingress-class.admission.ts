import type { Ingress } from '#api';
import type { AdmissionPlugin } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';
import { newestDefault } from './storage.admission.ts';

/** Ingresses that name no class get the default one. */
export function defaultIngressClass({ objects }: AdmissionOptions): AdmissionPlugin {
  const view = objects.view('networking.k8s.io/v1', 'ingressclasses');
  return {
    name: 'DefaultIngressClass',
    handles: (operation, definition, subresource) =>
      operation === 'CREATE' &&
      subresource === '' &&
      definition?.resource.plural === 'ingresses' &&
      definition.resource.group === 'networking.k8s.io',
    mutate({ object }) {
      const ingress = object as unknown as Ingress;
      if (
        ingress.spec?.ingressClassName !== undefined ||
        ingress.metadata.annotations?.['kubernetes.io/ingress.class'] !== undefined
      )
        return undefined;
      const fill = (): void => {
        const name = newestDefault(view, ['ingressclass.kubernetes.io/is-default-class'])?.metadata.name;
        if (name !== undefined) ingress.spec = { ...ingress.spec, ingressClassName: name };
      };
      return view.isReady ? fill() : view.ready.then(fill);
    },
  };
}
