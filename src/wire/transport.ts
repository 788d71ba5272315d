/**
 * The one way anyone speaks to an API server, whether over TLS or inside the process. Client and server both know this
 * interface and never each other.
 *
 * In the same process a caller that sets `objects: true` may get frozen API objects instead of bytes (`object`, `events`): the
 * server's own cached copies, never to be changed. Over a socket those fields are absent; a caller must handle both.
 */
export interface Transport {
  request(request: TransportRequest): Promise<TransportResponse>;
  close(): Promise<void>;
}

export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query as on the wire: `/api/v1/namespaces/default/pods?limit=500`. */
  readonly target: string;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** In-process shortcut for the body: an API object that the caller will not touch again. Over a socket it is sent as JSON. */
  readonly objectBody?: object;
  /** The caller accepts `object` and `events` in the response. */
  readonly objects?: boolean;
  readonly signal?: AbortSignal;
}

export interface TransportResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The decoded body, frozen: only in-process and when asked for with `objects`. */
  readonly object?: object;
  /** A watch's events, each `{type, object}` with a frozen object: only in-process and when asked for with `objects`. */
  readonly events?: AsyncIterable<{ readonly type: string; readonly object: object }>;
  /** The whole body. At most one of `bytes` and `chunks` is called. */
  bytes(): Promise<Uint8Array>;
  chunks(): AsyncIterable<Uint8Array>;
}

/** Who makes a request, as authentication found it (upstream's user.Info). */
export interface Identity {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}
