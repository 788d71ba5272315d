import type { Duplex } from 'node:stream';
import type { AnyObject } from '#api';
import type { KindDefinition } from '#kinds';
import type { ByteSink, Identity, Transport } from '#wire';
import type { Measures } from './http/measures.ts';

/** What a request asks for, read from its raw target once; every later link decides on this and never parses again. */
export interface RequestInfo {
  /** False for paths outside `/api/…` and `/apis/…` resources (`/version`, `/healthz`, discovery). */
  readonly isResource: boolean;
  /**
   * For resources: get list watch create update patch delete deletecollection (exec, attach, portforward: always `create`; proxy
   * sub-resources: by method). Otherwise the method in lower case.
   */
  readonly verb: string;
  /** The decoded path, without query. */
  readonly path: string;
  /** Decoded segments of the path. */
  readonly segments: readonly string[];
  /** '' for the core group and for non-resource requests. */
  readonly group: string;
  readonly version: string;
  /** Plural; '' for non-resource requests. */
  readonly resource: string;
  readonly subresource: string;
  /** '' for cluster-scoped requests and for all namespaces. For the resource `namespaces` itself: its name. */
  readonly namespace: string;
  /** '' when the request names no object. For list and watch: the value of a `metadata.name=` field selector. */
  readonly name: string;
  /** What follows a proxy sub-resource in the path, as it was on the wire, with its leading slash; '' otherwise. */
  readonly rest: string;
  /** Query parameters. */
  readonly options: URLSearchParams;
  /** The query as it was on the wire, without `?`. */
  readonly rawQuery: string;
}

/** Where a request came from. */
export interface RequestSource {
  /** '' in-process. */
  readonly remoteAddress: string;
  /** Certificates that the client has shown, DER, leaf first: possession of the key is proven, trust is the authenticator's to judge. */
  readonly clientCertificates?: readonly Uint8Array[];
  /** Set in-process: the caller's identity is known, authentication is skipped. */
  readonly trusted?: Identity;
}

/** One request on its way through the chain. Links set the later fields in order. */
export interface ServerRequest {
  readonly method: string;
  /** Path and query, raw. */
  readonly target: string;
  /** Lower-case names. `Authorization` is removed once authentication has passed. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Each value of a header that may come several times. */
  headerValues?(name: string): readonly string[];
  readonly source: RequestSource;
  readonly receivedMs: number;
  /** The whole body, at most the server's limit; throws ApiError 413 above it. Calling twice gives the same bytes. */
  body(): Promise<Uint8Array>;
  /** The body piece by piece, for proxies; not together with `body`. */
  stream(): AsyncIterable<Uint8Array>;
  /** In-process body: an object that its sender no longer touches. */
  readonly objectBody?: object;
  /** The caller takes frozen objects instead of bytes. */
  readonly objects: boolean;
  /** A request to switch protocols (HTTP/1.1 only), lower-case token. */
  readonly upgrade?: string;
  /** Runs when the client goes away before the response has ended; returns a function that forgets it. */
  onAbort(callback: () => void): () => void;
  readonly aborted: boolean;

  /** Set by request info. */
  info: RequestInfo;
  /** Set by authentication (and replaced by impersonation). */
  identity: Identity;
  authentication?: AuthenticationResult;
  /** Who impersonates, when someone does. */
  impersonator?: Identity;
  /** Texts for `Warning: 299` headers. */
  readonly warnings: string[];
  /** Audit annotations. */
  readonly annotations: Map<string, string>;
  /** For audit at Request level and above: the decoded objects, when there are any. */
  audited?: { readonly withResponse?: boolean; requestObject?: object; responseObject?: object };
  /** What the object in the body says of itself, for audit at any level. */
  objectMeta?: { readonly name?: string; readonly uid?: string; readonly resourceVersion?: string };
  auditId?: string;
  /** Set by flow control: uids of the objects that gave the request its place, for headers of the answer. */
  flow?: { readonly schema: string; readonly level: string };
  /** Time that it waited for others: a place, webhooks. */
  waitedMs?: number;
}

export type { ByteSink };

export interface ServerResponse {
  readonly status: number;
  /** Lower-case names. `content-length` is set from `body`. */
  readonly headers: Record<string, string | readonly string[]>;
  /** Whole, in one or several pieces. */
  readonly body?: Uint8Array | readonly Uint8Array[];
  /** A body that is written over time. */
  readonly stream?: (sink: ByteSink) => void;
  /** For callers with `objects`: the frozen decoded body. */
  readonly object?: object;
  /** For callers with `objects`: a watch. */
  readonly events?: AsyncIterable<{ readonly type: string; readonly object: object }>;
  /** Takes the raw connection over (a switch of protocols). Status and headers are then the taker's to write. */
  readonly takeOver?: (socket: Duplex, head: Uint8Array) => void;
}

export type Handler = (request: ServerRequest) => Promise<ServerResponse>;
/** One equal link of the chain. Throws ApiError for a refusal; the outermost link turns anything thrown into a Status. */
export type Link = (request: ServerRequest, next: Handler) => Promise<ServerResponse>;

/** A non-resource path: exact, or everything below when it ends in `/*`. */
export interface Route {
  readonly path: string;
  /** Shown in the list at `/`; default true. */
  readonly listed?: boolean;
  /** Reached before authorization? Never: grant it to the right groups by RBAC. */
  readonly handle: Handler;
}

// ---------------------------------------------------------------- authentication

export interface AuthenticationRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly source: RequestSource;
}

export interface AuthenticationResult {
  readonly identity: Identity;
  /** Which authenticator found it: `x509`, `serviceaccount`, `bootstrap`, `anonymous` … (for audit). */
  readonly authenticator: string;
  /** Certificate fingerprint, token id (for audit). */
  readonly credentialId?: string;
  readonly audiences?: readonly string[];
}

export interface Authenticator {
  /**
   * Undefined: no credential that this one knows; the next is asked (none left: 401). Throws errUnauthorized for a bad credential.
   * May answer synchronously: the hot path then has no promise.
   */
  authenticate(
    request: AuthenticationRequest,
  ): AuthenticationResult | undefined | Promise<AuthenticationResult | undefined>;
  /** A bearer token alone, for TokenReview. */
  authenticateToken?(token: string, audiences: readonly string[]): Promise<AuthenticationResult | undefined>;
}

// ---------------------------------------------------------------- authorization

export interface RequestAttributes {
  readonly identity: Identity;
  readonly verb: string;
  readonly isResource: boolean;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** For non-resource requests. */
  readonly path: string;
  /** Parsed selectors of list, watch, deletecollection, as text. */
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface AuthorizationDecision {
  readonly decision: 'allow' | 'deny' | 'noOpinion';
  readonly reason: string;
}

export interface Authorizer {
  authorize(attributes: RequestAttributes): AuthorizationDecision | Promise<AuthorizationDecision>;
  /** For SelfSubjectRulesReview. */
  rulesFor?(
    identity: Identity,
    namespace: string,
  ): Promise<{
    readonly resourceRules: readonly object[];
    readonly nonResourceRules: readonly object[];
    readonly incomplete: boolean;
    /** What went wrong beside, for instance a role that a binding names and that is not there. */
    readonly evaluationError?: string;
  }>;
}

// ---------------------------------------------------------------- admission

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

export interface AdmissionAttributes {
  readonly operation: AdmissionOperation;
  readonly identity: Identity;
  readonly definition: KindDefinition | undefined;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly resource: string;
  readonly subresource: string;
  /** '' for cluster-scoped objects. */
  readonly namespace: string;
  /** '' at creation with generateName. */
  readonly name: string;
  /**
   * What would be stored (for DELETE undefined; for CONNECT the options). In `mutate` a draft that may be changed in place; in
   * `validate` not to be changed. For sub-resources with a body of their own (binding, eviction, scale) that body.
   */
  readonly object: AnyObject | undefined;
  /** What is stored now, frozen (UPDATE, DELETE). */
  readonly oldObject: AnyObject | undefined;
  /** CreateOptions, UpdateOptions, PatchOptions, DeleteOptions. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly dryRun: boolean;
  readonly subresourceOfCreate?: boolean;
  warn(text: string): void;
  /** `Request`: only where the audit policy has bodies recorded too. */
  annotate(key: string, value: string, level?: 'Request'): void;
  /** Set `needed` where a webhook has changed the object: all that mutates runs once more then, in round 1. */
  readonly reinvocation: { needed: boolean; round: 0 | 1 };
}

/** Order is that of the list in `admission/order.ts`. Refuses by throwing ApiError (403 through errForbidden). */
export interface AdmissionPlugin {
  readonly name: string;
  /** `mutate` only looks (and refuses early): the object needs no defaults again after it. */
  readonly readOnly?: boolean;
  /** Asked once per request before anything else; absent: all. Must be cheap. */
  handles?(operation: AdmissionOperation, definition: KindDefinition | undefined, subresource: string): boolean;
  /** Before defaulting and validation of the object. Sync when it can be. */
  mutate?(attributes: AdmissionAttributes): void | Promise<void>;
  /** After the object's validation, right before the store. */
  validate?(attributes: AdmissionAttributes): void | Promise<void>;
}

// ---------------------------------------------------------------- what the server offers its parts

/** A live view of one resource, from the watch cache. Reads are synchronous and current to the cache. */
export interface ObjectView {
  /** Resolves when the view is filled. Callers that decide on security must await it. */
  readonly ready: Promise<void>;
  readonly isReady: boolean;
  get(namespace: string | undefined, name: string): AnyObject | undefined;
  list(namespace?: string): readonly AnyObject[];
  /** After each change. `object` absent: deleted. `old` absent: created. */
  onChange(callback: (change: { readonly object?: AnyObject; readonly old?: AnyObject }) => void): () => void;
  /** Counts up with each change: for memoised decisions. */
  readonly generation: number;
  /** Resolves when the view has seen everything acknowledged before the call. */
  current(): Promise<void>;
}

export interface ServerObjects {
  /** Starts the cache of the resource when it was not: `view('rbac.authorization.k8s.io/v1', 'roles')`. */
  view(groupVersion: string, plural: string): ObjectView;
  /** The server itself as a client, through the whole chain, as `identity` (default system:apiserver in system:masters). */
  transport(identity?: Identity): Transport;
  /** By group and plural, any version. */
  definition(group: string, plural: string, version?: string): KindDefinition | undefined;
  /** Where parts of the server say how long something took. */
  readonly measures?: Measures;
  /** By the name of the kind. */
  kind(group: string, version: string, kind: string): KindDefinition | undefined;
}

/** Signs service account tokens; served at serviceaccounts/token. */
export interface TokenIssuer {
  issue(request: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly audiences: readonly string[];
    readonly expirationSeconds: number;
    readonly boundObject?: {
      readonly apiVersion: string;
      readonly kind: string;
      readonly name: string;
      readonly uid: string;
    };
    /** For a pod-bound token: its node. */
    readonly node?: { readonly name: string; readonly uid: string };
  }): Promise<{ readonly token: string; readonly expirationTimestamp: string }>;
  /** The server's default audiences. */
  readonly audiences: readonly string[];
}

/** Computes the answer of a kind that is never stored (TokenReview, SubjectAccessReview …), by `group/plural`. */
export type ReviewHandler = (object: AnyObject, request: ServerRequest) => Promise<AnyObject>;
