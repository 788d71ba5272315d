import { type Clock, type Log, messageOf, type Timer } from '#base';
import { builtinResources, type KubeObject, type ResourceInfo, resource } from '#api';
import type { Client, Informers } from '#client';

/** A resource as discovery tells of it. */
export interface ServedResource extends ResourceInfo {
  readonly verbs: readonly string[];
}

export interface Directory {
  readonly resources: readonly ServedResource[];
  /** `group/version` of those that could not be discovered (an aggregated server that does not answer). */
  readonly failed: readonly string[];
}

/** What the server serves, kept current: custom resources come and go. */
export interface ResourceDirectory {
  /** The newest known; waits for the first discovery. */
  current(): Promise<Directory>;
  /** Discovers again now. */
  refresh(): Promise<Directory>;
  onChange(handler: (directory: Directory) => void): () => void;
  close(): void;
}

interface ApiResource {
  readonly name: string;
  readonly kind: string;
  readonly singularName?: string;
  readonly namespaced: boolean;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

const definitions = resource('apiextensions.k8s.io/v1', 'customresourcedefinitions');
const apiServices = resource('apiregistration.k8s.io/v1', 'apiservices');

/** Asks the server for all its resources, one preferred version a group first. */
export async function discover(client: Client): Promise<Directory> {
  const groups = (await client.raw('GET', '/apis')) as {
    groups?: { name: string; versions: { version: string }[]; preferredVersion?: { version: string } }[];
  };
  const wanted = [{ group: '', version: 'v1' }];
  for (const { name, versions, preferredVersion } of groups.groups ?? []) {
    const order = versions.toSorted(
      (a, b) => Number(b.version === preferredVersion?.version) - Number(a.version === preferredVersion?.version),
    );
    for (const { version } of order) wanted.push({ group: name, version });
  }
  const failed: string[] = [];
  const found = await Promise.all(
    wanted.map(async ({ group, version }) => {
      try {
        const target = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
        const list = (await client.raw('GET', target)) as { resources?: ApiResource[] };
        return (list.resources ?? [])
          .filter((one) => !one.name.includes('/'))
          .map((one) => served(group, version, one));
      } catch {
        failed.push(`${group}/${version}`);
        return [];
      }
    }),
  );
  const seen = new Set<string>();
  const resources = found.flat().filter((one) => {
    const key = `${one.group}/${one.plural}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
  return { resources, failed };
}

const rows = new Map(builtinResources.map((one) => [`${one.group}/${one.version}/${one.plural}`, one]));

function served(group: string, version: string, one: ApiResource): ServedResource {
  const row = rows.get(`${group}/${version}/${one.name}`);
  return Object.freeze({
    ...(row ?? {
      group,
      version,
      kind: one.kind,
      plural: one.name,
      singular: one.singularName ?? '',
      namespaced: one.namespaced,
      shortNames: one.shortNames ?? [],
      categories: one.categories ?? [],
    }),
    verbs: one.verbs ?? [],
  });
}

/** Opens the directory: discovers at once, again shortly after a definition or API service changes, and every 5 minutes. */
export function openDirectory(options: {
  client: Client;
  informers: Informers;
  clock: Clock;
  log: Log;
}): ResourceDirectory {
  const { client, informers, clock, log } = options;
  const handlers = new Set<(directory: Directory) => void>();
  let latest: Promise<Directory> | undefined;
  let key = '';
  let timer: Timer | undefined;
  let dueMs = Number.POSITIVE_INFINITY;
  let open = true;

  function refresh(): Promise<Directory> {
    const next = discover(client);
    const kept = latest;
    latest = next;
    next.then(
      (directory) => {
        const newKey = JSON.stringify([
          directory.resources.map((one) => [one.group, one.version, one.plural]),
          directory.failed,
        ]);
        if (!open || newKey === key) return;
        key = newKey;
        for (const handler of handlers) handler(directory);
      },
      (error) => {
        if (latest === next) latest = kept;
        if (open) log.warn({ error: messageOf(error) }, 'discovery failed; trying again');
        plan(1_000);
      },
    );
    return next;
  }

  function plan(delayMs: number): void {
    const thenMs = clock.monotonicMs() + delayMs;
    if (!open || thenMs >= dueMs) return;
    timer?.cancel();
    dueMs = thenMs;
    timer = clock.setTimer(() => {
      dueMs = Number.POSITIVE_INFINITY;
      void refresh().then(
        () => plan(300_000),
        () => {},
      );
    }, delayMs);
  }

  const sources = [informers.of<KubeObject>(definitions), informers.of<KubeObject>(apiServices)];
  const endings = sources.map((informer) =>
    informer.onChange(({ type, object, old }) => {
      const generation = (one: KubeObject | undefined): unknown =>
        JSON.stringify([one?.metadata.generation, conditionsOf(one)]);
      if (type === 'updated' && generation(object) === generation(old)) return;
      if (informer.hasSynced) plan(50);
    }),
  );
  plan(300_000);
  return {
    current: () => latest ?? refresh(),
    refresh,
    onChange(handler) {
      handlers.add(handler);
      return () => void handlers.delete(handler);
    },
    close() {
      open = false;
      timer?.cancel();
      for (const end of endings) end();
      for (const informer of sources) informer.close();
    },
  };
}

function conditionsOf(object: KubeObject | undefined): unknown {
  const status = (object as { status?: { conditions?: { type: string; status: string }[] } } | undefined)?.status;
  return status?.conditions?.map((one) => [one.type, one.status]);
}
