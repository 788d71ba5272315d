import { type AnyObject, ingressControllerName, ingressUser } from '#api';
import type { AuthorizationDecision, Authorizer, ObjectView } from '../contract.ts';
import { followView } from './follow.ts';
import { nodeNameOf } from './node.ts';

/** Live views that say which Secrets belong to Ingresses. */
export interface IngressSources {
  readonly ingresses: ObjectView;
  readonly ingressClasses: ObjectView;
}

/**
 * Who serves Ingresses may read the Secrets that Ingresses of the built-in controller's classes name for TLS, one at a time, and no
 * other. Says nothing of other requests. The views are opened at the first question.
 */
export function openIngressAuthorizer(sources: IngressSources): Authorizer {
  /** `namespace/secret` → names of the Ingresses that refer to it. */
  const references = new Map<string, Set<string>>();
  const each = (ingress: AnyObject, act: (key: string, name: string) => void): void => {
    const { namespace, name } = ingress.metadata;
    for (const { secretName } of (ingress as unknown as IngressShape).spec?.tls ?? [])
      if (secretName) act(`${namespace}/${secretName}`, name);
  };
  const index = {
    put: (ingress: AnyObject) =>
      each(ingress, (key, name) => {
        const names = references.get(key) ?? new Set();
        names.add(name);
        references.set(key, names);
      }),
    remove: (ingress: AnyObject) =>
      each(ingress, (key, name) => {
        const names = references.get(key);
        if (names?.delete(name) && names.size === 0) references.delete(key);
      }),
  };
  let isReady = false;
  let ready: Promise<void> | undefined;
  const start = async (): Promise<void> => {
    await Promise.all([followView(sources.ingresses, index), sources.ingressClasses.ready]);
    isReady = true;
  };
  const isOwn = (className: string | undefined): boolean =>
    className === undefined
      ? sources.ingressClasses
          .list()
          .some((one) => controllerOf(one) && one.metadata.annotations?.[isDefault] === 'true')
      : controllerOf(sources.ingressClasses.get(undefined, className));
  const decide = (namespace: string, name: string): AuthorizationDecision => {
    for (const one of references.get(`${namespace}/${name}`) ?? []) {
      const ingress = sources.ingresses.get(namespace, one) as unknown as (IngressShape & AnyObject) | undefined;
      if (ingress === undefined) continue;
      if (isOwn(ingress.spec?.ingressClassName ?? ingress.metadata.annotations?.[classAnnotation])) return allow;
    }
    return no('no Ingress of this controller names the Secret');
  };
  return {
    authorize({ identity, isResource, group, resource, subresource, verb, namespace, name }) {
      if (!isResource || group !== '' || resource !== 'secrets' || subresource !== '') return no('');
      if (identity.user !== ingressUser && nodeNameOf(identity) === undefined) return no('');
      if (name === '' || !['get', 'list', 'watch'].includes(verb)) return no('');
      // A node is told by its own authorizer why it may not.
      const answer = (): AuthorizationDecision => {
        const decision = decide(namespace, name);
        return decision.decision === 'allow' || identity.user === ingressUser ? decision : no('');
      };
      if (isReady) return answer();
      ready ??= start();
      return ready.then(answer);
    },
  };
}

interface IngressShape {
  readonly spec?: { readonly ingressClassName?: string; readonly tls?: readonly { readonly secretName?: string }[] };
}

const isDefault = 'ingressclass.kubernetes.io/is-default-class';
const classAnnotation = 'kubernetes.io/ingress.class';
const allow: AuthorizationDecision = Object.freeze({ decision: 'allow', reason: '' });
const no = (reason: string): AuthorizationDecision => ({ decision: 'noOpinion', reason });

function controllerOf(ingressClass: AnyObject | undefined): boolean {
  return (ingressClass?.spec as { controller?: string } | undefined)?.controller === ingressControllerName;
}
