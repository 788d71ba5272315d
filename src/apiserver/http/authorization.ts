import { errForbidden, goQuote } from '#machinery';
import type { Identity } from '#wire';
import type {
  AuthorizationDecision,
  Authorizer,
  Link,
  RequestAttributes,
  RequestInfo,
  ServerRequest,
} from '../contract.ts';

/** What is decided about, from what was parsed: exactly the object that later links act on. */
export function attributesOf(info: RequestInfo, identity: Identity): RequestAttributes {
  const { verb, isResource, group, version, resource, subresource, namespace, name, path, options } = info;
  const selects = isResource && (verb === 'list' || verb === 'watch' || verb === 'deletecollection');
  return {
    identity,
    verb,
    isResource,
    group,
    version,
    resource,
    subresource,
    namespace,
    name,
    path,
    ...(selects && options.has('labelSelector') ? { labelSelector: options.get('labelSelector') ?? '' } : {}),
    ...(selects && options.has('fieldSelector') ? { fieldSelector: options.get('fieldSelector') ?? '' } : {}),
  };
}

/** Refuses (403) unless the authorizer allows. */
export function authorizationLink(authorizer: Authorizer): Link {
  return (request, next) => {
    const attributes = attributesOf(request.info, request.identity);
    const answer = authorizer.authorize(attributes);
    if (answer instanceof Promise) {
      return answer.then((decided) => {
        judge(request, attributes, decided);
        return next(request);
      });
    }
    judge(request, attributes, answer);
    return next(request);
  };
}

export async function authorize(
  authorizer: Authorizer,
  request: ServerRequest,
  attributes: RequestAttributes,
): Promise<void> {
  judge(request, attributes, await authorizer.authorize(attributes));
}

/** Notes the decision and throws unless it allows. */
function judge(
  request: ServerRequest,
  attributes: RequestAttributes,
  { decision, reason }: AuthorizationDecision,
): void {
  // Nobody reads annotations of what is not recorded.
  if (request.auditId !== undefined) {
    request.annotations.set('authorization.k8s.io/decision', decision === 'allow' ? 'allow' : 'forbid');
    request.annotations.set('authorization.k8s.io/reason', reason);
  }
  if (decision === 'allow') return;
  throw forbidden(attributes, reason);
}

/** The 403 that says who may not do what, as upstream words it. */
export function forbidden(attributes: RequestAttributes, reason: string): Error {
  const { identity, verb, isResource, group, resource, subresource, namespace, name, path } = attributes;
  const because = reason === '' ? '' : `: ${reason}`;
  const user = `User ${goQuote(identity.user)} cannot ${verb}`;
  if (!isResource) return errForbidden({ group: '', plural: '' }, '', `${user} path ${goQuote(path)}${because}`);
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${goQuote(namespace)}`;
  const what = `${user} resource ${goQuote(full)} in API group ${goQuote(group)} ${where}${because}`;
  return errForbidden({ group, plural: resource }, name, what);
}

export const allowAll: Authorizer = { authorize: () => ({ decision: 'allow', reason: '' }) };
