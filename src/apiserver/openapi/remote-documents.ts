import { createHash } from 'node:crypto';
import { type Clock, type Log, messageOf } from '#base';
import { decodeJson, encodeJson } from '#codec';
import { encodeSwagger } from './gnostic.ts';
import { partOfSwagger, type SwaggerPart } from './merge-swagger.ts';
import type { Json } from './style.ts';
import { swaggerToV3 } from './swagger-to-v3.ts';

interface OtherAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

/** A server behind one Service, with the group versions that it answers. */
export interface OtherServer {
  readonly name: string;
  /** Else it is shown as it last was. */
  readonly available: boolean;
  readonly groupVersions: readonly { readonly group: string; readonly version: string }[];
  ask(
    target: string,
    limits: { readonly timeoutMs: number; readonly largestBytes: number },
    headers?: Readonly<Record<string, string>>,
  ): Promise<OtherAnswer>;
}

export interface OtherServers {
  servers(): readonly OtherServer[];
}

/** A document as it is sent. */
export interface OtherDocument {
  readonly bytes: Uint8Array;
  readonly etag: string;
}

const limits = { timeoutMs: 5_000, largestBytes: 8 << 20 };
/** No reader waits longer for a server that nothing is known of yet. */
const longestWaitMs = 2_000;
const freshMs = 30_000;
const failedFreshMs = 5_000;
const deepest = 256;
const mostDocuments = 64;

/** What one server said, and when. */
interface Known {
  readonly roots: string;
  lookedMs: number;
  looking: Promise<void> | undefined;
  failed: boolean;
  etag2: string | undefined;
  part: SwaggerPart | undefined;
  info: unknown;
  etag3: string | undefined;
  /** Hashes by `apis/GROUP/VERSION`; undefined where the server has no version 3. */
  index: ReadonlyMap<string, string> | undefined;
  readonly documents: Map<string, { readonly hash: string; readonly document: OtherDocument }>;
}

/**
 * The OpenAPI documents of other servers, fetched when somebody reads ours, asked again (by ETag) when half a minute old. What a server
 * says is bounded in time, size and depth; one that fails is left out, or shown as it last was.
 */
export class RemoteDocuments {
  readonly #others: OtherServers;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #known = new Map<string, Known>();
  #generation = 0;

  constructor(options: { readonly others: OtherServers; readonly clock: Clock; readonly log: Log }) {
    this.#others = options.others;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Counts up when something that others said has changed. */
  get generation(): number {
    return this.#generation;
  }

  /** Looks at the servers that are there now; waits only for those never seen, and not for long. */
  async refresh(): Promise<void> {
    const servers = this.#others.servers();
    for (const name of this.#known.keys())
      if (!servers.some((one) => one.name === name)) {
        this.#known.delete(name);
        this.#generation++;
      }
    const unseen = servers.flatMap((server) => {
      const known = this.#knownOf(server);
      const age = this.#clock.monotonicMs() - known.lookedMs;
      if (server.available && known.looking === undefined && age >= (known.failed ? failedFreshMs : freshMs))
        this.#look(server, known);
      const isUnseen = known.part === undefined && known.index === undefined && !known.failed;
      return isUnseen && known.looking !== undefined ? [known.looking] : [];
    });
    if (unseen.length === 0) return;
    let cancel = (): void => {};
    const tired = new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(resolve, longestWaitMs);
      cancel = () => timer.cancel();
    });
    await Promise.race([Promise.all(unseen), tired]);
    cancel();
  }

  parts(): readonly SwaggerPart[] {
    return [...this.#known.values()].flatMap(({ part }) => (part === undefined ? [] : [part]));
  }

  /** Hashes of version 3 documents by `apis/GROUP/VERSION`. */
  index(): ReadonlyMap<string, string> {
    const all = new Map<string, string>();
    for (const { server, known } of this.#current())
      for (const { group, version } of server.groupVersions) {
        const path = `apis/${group}/${version}`;
        const hash = known.index === undefined ? known.part && known.etag2 : known.index.get(path);
        if (hash !== undefined) all.set(path, hash);
      }
    return all;
  }

  /** The version 3 document of `apis/GROUP/VERSION`; undefined when no server has it. Throws when it has, and cannot give it. */
  async document(path: string): Promise<OtherDocument | undefined> {
    const hash = this.index().get(path);
    if (hash === undefined) return undefined;
    for (const { server, known } of this.#current()) {
      if (!server.groupVersions.some(({ group, version }) => `apis/${group}/${version}` === path)) continue;
      const held = known.documents.get(path);
      if (held?.hash === hash) return held.document;
      const bytes = known.index === undefined ? converted(known, path) : await fetched(server, path);
      const document = { bytes, etag: `"${digest(bytes)}"` };
      if (known.documents.size >= mostDocuments) known.documents.clear();
      known.documents.set(path, { hash, document });
      return document;
    }
    return undefined;
  }

  #current(): { server: OtherServer; known: Known }[] {
    return this.#others.servers().flatMap((server) => {
      const known = this.#known.get(server.name);
      return known === undefined ? [] : [{ server, known }];
    });
  }

  #knownOf({ name, groupVersions }: OtherServer): Known {
    const roots = groupVersions
      .map(({ group, version }) => `/apis/${group}/${version}`)
      .sort()
      .join();
    let known = this.#known.get(name);
    if (known === undefined || known.roots !== roots) {
      known = {
        ...{ roots, lookedMs: Number.NEGATIVE_INFINITY, looking: undefined, failed: false, info: undefined },
        ...{ etag2: undefined, part: undefined, etag3: undefined, index: undefined, documents: new Map() },
      };
      this.#known.set(name, known);
    }
    return known;
  }

  #look(server: OtherServer, known: Known): void {
    known.looking = Promise.allSettled([this.#lookAt2(server, known), this.#lookAt3(server, known)])
      .then((results) => {
        const refusals = results.flatMap((one) => (one.status === 'rejected' ? [messageOf(one.reason)] : []));
        known.failed = refusals.length > 0;
        for (const error of refusals)
          this.#log.warn({ server: server.name, error }, 'OpenAPI of an aggregated server is left out');
      })
      .finally(() => {
        known.lookedMs = this.#clock.monotonicMs();
        known.looking = undefined;
      });
  }

  async #lookAt2(server: OtherServer, known: Known): Promise<void> {
    const answer = await server.ask(
      '/openapi/v2',
      limits,
      known.etag2 === undefined ? {} : { 'if-none-match': known.etag2 },
    );
    if (answer.status === 304) return;
    if (answer.status === 404) return;
    if (answer.status !== 200) throw new Error(`/openapi/v2 answered ${answer.status}`);
    const document = decodeJson(answer.body, { maxDepth: deepest }) as Json;
    const part = partOfSwagger(document, known.roots.split(','));
    // Whatever cannot be written in the other encoding is found out here, where it harms nobody.
    encodeSwagger({ swagger: '2.0', info: { title: 'Kubernetes', version: '' }, ...part });
    known.part = part;
    known.info = document.info;
    known.etag2 = etagOf(answer);
    this.#generation++;
  }

  async #lookAt3(server: OtherServer, known: Known): Promise<void> {
    const answer = await server.ask(
      '/openapi/v3',
      limits,
      known.etag3 === undefined ? {} : { 'if-none-match': known.etag3 },
    );
    if (answer.status === 304) return;
    if (answer.status === 404) {
      if (known.index !== undefined) this.#generation++;
      known.index = undefined;
      return;
    }
    if (answer.status !== 200) throw new Error(`/openapi/v3 answered ${answer.status}`);
    const { paths } = decodeJson(answer.body, { maxDepth: deepest }) as { paths?: Json };
    const index = new Map<string, string>();
    for (const [path, entry] of Object.entries(paths ?? {})) {
      const { serverRelativeURL } = (entry ?? {}) as { serverRelativeURL?: unknown };
      if (typeof serverRelativeURL !== 'string') continue;
      const hash = /[?&]hash=([A-Za-z0-9._%-]{1,256})/.exec(serverRelativeURL)?.[1];
      index.set(path, hash ?? digest(Buffer.from(serverRelativeURL)));
    }
    known.index = index;
    known.etag3 = etagOf(answer);
    this.#generation++;
  }
}

async function fetched(server: OtherServer, path: string): Promise<Uint8Array> {
  const answer = await server.ask(`/openapi/v3/${path}`, limits);
  if (answer.status !== 200) throw new Error(`/openapi/v3/${path} answered ${answer.status}`);
  const document = decodeJson(answer.body, { maxDepth: deepest });
  if (typeof document !== 'object' || document === null) throw new Error('the answer is no document');
  return answer.body;
}

function converted({ part, info }: Known, path: string): Uint8Array {
  const whole = part as SwaggerPart;
  return encodeJson(swaggerToV3(partOfSwagger(whole, [`/${path}`]), info));
}

function etagOf({ headers, body }: OtherAnswer): string {
  return typeof headers.etag === 'string' ? headers.etag : `"${digest(body)}"`;
}

function digest(bytes: Uint8Array): string {
  return createHash('sha512').update(bytes).digest('hex').toUpperCase();
}
