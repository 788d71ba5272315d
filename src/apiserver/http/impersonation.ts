import { errBadRequest } from '#machinery';
import type { Identity } from '#wire';
import type { Authorizer, Link, RequestAttributes, ServerRequest } from '../contract.ts';
import { authorize } from './authorization.ts';

const userHeader = 'impersonate-user';
const groupHeader = 'impersonate-group';
const uidHeader = 'impersonate-uid';
const extraPrefix = 'impersonate-extra-';
const serviceAccountPrefix = 'system:serviceaccount:';

/** Lets those who may `impersonate` act as someone else; each part of the other identity is authorized by itself. */
export function impersonationLink(authorizer: Authorizer): Link {
  return (request, next) => {
    const user = request.headers[userHeader];
    if (user === undefined) {
      for (const name in request.headers) {
        if (name.startsWith('impersonate-')) {
          throw errBadRequest('requested impersonation without impersonating a user');
        }
      }
      return next(request);
    }
    return impersonated(authorizer, request, user).then((identity) => {
      request.impersonator = request.identity;
      request.identity = identity;
      return next(request);
    });
  };
}

async function impersonated(authorizer: Authorizer, request: ServerRequest, user: string): Promise<Identity> {
  const may = (part: Partial<RequestAttributes>): Promise<void> =>
    authorize(authorizer, request, {
      identity: request.identity,
      verb: 'impersonate',
      isResource: true,
      group: '',
      version: 'v1',
      resource: '',
      subresource: '',
      namespace: '',
      name: '',
      path: '',
      ...part,
    });
  const groups = valuesOf(request, groupHeader);
  const account = user.startsWith(serviceAccountPrefix) ? user.slice(serviceAccountPrefix.length).split(':') : [];
  const [namespace = '', name = ''] = account;
  if (account.length === 2) await may({ resource: 'serviceaccounts', namespace, name });
  else await may({ resource: 'users', name: user });
  for (const group of groups) await may({ resource: 'groups', name: group });
  const uid = request.headers[uidHeader];
  if (uid !== undefined) await may({ group: 'authentication.k8s.io', resource: 'uids', name: uid });
  const extra: Record<string, string[]> = Object.create(null);
  for (const header of Object.keys(request.headers)) {
    if (!header.startsWith(extraPrefix)) continue;
    const key = decodeKey(header.slice(extraPrefix.length));
    const values = valuesOf(request, header);
    extra[key] = values;
    for (const value of values) {
      await may({ group: 'authentication.k8s.io', resource: 'userextras', subresource: key, name: value });
    }
  }
  const effective = [...groups];
  if (account.length === 2 && groups.length === 0)
    effective.push('system:serviceaccounts', `system:serviceaccounts:${namespace}`);
  const anonymous = user === 'system:anonymous';
  const implied = anonymous ? 'system:unauthenticated' : 'system:authenticated';
  if (!effective.includes('system:unauthenticated') && !effective.includes(implied)) effective.push(implied);
  return { user, groups: effective, ...(uid === undefined ? {} : { uid }), extra };
}

function valuesOf(request: ServerRequest, header: string): string[] {
  const all = request.headerValues?.(header);
  if (all !== undefined) return [...all];
  const one = request.headers[header];
  return one === undefined ? [] : [one];
}

function decodeKey(raw: string): string {
  try {
    return decodeURIComponent(raw).toLowerCase();
  } catch {
    return raw;
  }
}
