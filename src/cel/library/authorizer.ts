import { CelError } from '../errors.ts';
import { define, type Overload } from '../function.ts';
import { Opaque } from '../values.ts';

/** What an expression asks the authorizer. */
export interface AuthorizationQuestion {
  readonly user?: { readonly serviceAccount: { readonly namespace: string; readonly name: string } };
  readonly verb: string;
  readonly path?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

export interface AuthorizationAnswer {
  readonly allowed: boolean;
  readonly reason: string;
  readonly error?: string;
}

export type Ask = (question: AuthorizationQuestion) => AuthorizationAnswer;

abstract class Asking extends Opaque {
  readonly ask: Ask;
  readonly question: Omit<AuthorizationQuestion, 'verb'>;

  constructor(ask: Ask, question: Omit<AuthorizationQuestion, 'verb'>) {
    super();
    this.ask = ask;
    this.question = question;
  }

  equals(other: Opaque): boolean {
    return other === this;
  }
}

/** The variable `authorizer`. */
export class CelAuthorizer extends Asking {
  readonly typeName = 'kubernetes.authorization.Authorizer';
}

class PathCheck extends Asking {
  readonly typeName = 'kubernetes.authorization.PathCheck';
}

class GroupCheck extends Asking {
  readonly typeName = 'kubernetes.authorization.GroupCheck';
}

/** Also the variable `authorizer.requestResource`. */
export class ResourceCheck extends Asking {
  readonly typeName = 'kubernetes.authorization.ResourceCheck';
}

class Decision extends Opaque {
  readonly typeName = 'kubernetes.authorization.Decision';
  readonly answer: AuthorizationAnswer;

  constructor(answer: AuthorizationAnswer) {
    super();
    this.answer = answer;
  }

  equals(other: Opaque): boolean {
    return other === this;
  }
}

const prefix = 'kubernetes.authorization.';

/** Questions to the cluster's authorizer. */
export function authorizerFunctions(): Overload[] {
  const more = (name: keyof AuthorizationQuestion): Overload =>
    define(
      name,
      `resourcecheck_${name}`,
      `${prefix}ResourceCheck.(string): ${prefix}ResourceCheck`,
      (_, check, value) => {
        const { ask, question } = check as ResourceCheck;
        return new ResourceCheck(ask, { ...question, [name]: value as string });
      },
    );
  const check = (kind: string): Overload =>
    define(
      'check',
      `${kind.toLowerCase()}_check`,
      `${prefix}${kind}.(string): ${prefix}Decision`,
      (_, asking, verb) => {
        const { ask, question } = asking as Asking;
        return new Decision(ask({ ...question, verb: verb as string }));
      },
    );
  const answer = (one: unknown): AuthorizationAnswer => (one as Decision).answer;
  return [
    define('path', 'authorizer_path', `${prefix}Authorizer.(string): ${prefix}PathCheck`, (_, one, path) => {
      if (path === '') throw new CelError('path must not be empty');
      return new PathCheck((one as Asking).ask, { ...(one as Asking).question, path: path as string });
    }),
    define(
      'group',
      'authorizer_group',
      `${prefix}Authorizer.(string): ${prefix}GroupCheck`,
      (_, one, group) => new GroupCheck((one as Asking).ask, { ...(one as Asking).question, group: group as string }),
    ),
    define(
      'serviceAccount',
      'authorizer_serviceaccount',
      `${prefix}Authorizer.(string, string): ${prefix}Authorizer`,
      (_, one, namespace, name) =>
        new CelAuthorizer((one as Asking).ask, {
          ...(one as Asking).question,
          user: { serviceAccount: { namespace: namespace as string, name: name as string } },
        }),
    ),
    define(
      'resource',
      'groupcheck_resource',
      `${prefix}GroupCheck.(string): ${prefix}ResourceCheck`,
      (_, one, resource) =>
        new ResourceCheck((one as Asking).ask, { ...(one as Asking).question, resource: resource as string }),
    ),
    more('subresource'),
    more('namespace'),
    more('name'),
    more('fieldSelector'),
    more('labelSelector'),
    check('PathCheck'),
    check('ResourceCheck'),
    define('allowed', 'decision_allowed', `${prefix}Decision.(): bool`, (_, one) => answer(one).allowed),
    define('reason', 'decision_reason', `${prefix}Decision.(): string`, (_, one) => answer(one).reason),
    define('errored', 'decision_errored', `${prefix}Decision.(): bool`, (_, one) => answer(one).error !== undefined),
    define('error', 'decision_error', `${prefix}Decision.(): string`, (_, one) => answer(one).error ?? ''),
  ];
}
