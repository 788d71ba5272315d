import { CodedError } from '#base';
import { decodeYaml } from '#codec';

/** A kubeconfig file (v1 Config) as written; fields this program does not know are kept. */
export interface Kubeconfig {
  apiVersion: 'v1';
  kind: 'Config';
  clusters: { name: string; cluster: KubeconfigCluster }[];
  users: { name: string; user: KubeconfigUser }[];
  contexts: { name: string; context: { cluster: string; user: string; namespace?: string } }[];
  'current-context': string;
  preferences?: object;
}

export interface KubeconfigCluster {
  server: string;
  'certificate-authority'?: string;
  /** Base64 of PEM, as every `-data` field. */
  'certificate-authority-data'?: string;
  'insecure-skip-tls-verify'?: boolean;
  'tls-server-name'?: string;
}

export interface KubeconfigUser {
  'client-certificate'?: string;
  'client-certificate-data'?: string;
  'client-key'?: string;
  'client-key-data'?: string;
  token?: string;
  tokenFile?: string;
}

/** What one context of a kubeconfig says about reaching its server. */
export interface KubeconfigTarget {
  readonly contextName: string;
  readonly namespace: string | undefined;
  readonly cluster: KubeconfigCluster;
  readonly user: KubeconfigUser;
}

/** The file cannot be used: it is not a kubeconfig, or names a context, cluster or user that is not in it. */
export class KubeconfigError extends CodedError {
  constructor(message: string, options?: ErrorOptions) {
    super('Kubeconfig', message, options);
  }
}

const lists = ['clusters', 'users', 'contexts'] as const;

export function emptyKubeconfig(): Kubeconfig {
  return { apiVersion: 'v1', kind: 'Config', clusters: [], users: [], contexts: [], 'current-context': '' };
}

/** Reads a kubeconfig from YAML or JSON. An empty text is an empty kubeconfig. Throws KubeconfigError. */
export function parseKubeconfig(text: string): Kubeconfig {
  let value: unknown;
  try {
    value = text.trim() === '' ? {} : decodeYaml(new TextEncoder().encode(text));
  } catch (error) {
    throw new KubeconfigError('the kubeconfig is not valid YAML', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new KubeconfigError('the kubeconfig is not a mapping');
  const config = { ...emptyKubeconfig(), ...value } as Kubeconfig;
  if (config.kind !== 'Config') throw new KubeconfigError(`the kubeconfig has kind ${config.kind}, not Config`);
  for (const list of lists) {
    config[list] ??= [];
    if (!Array.isArray(config[list])) throw new KubeconfigError(`${list} in the kubeconfig is not a list`);
  }
  config['current-context'] ??= '';
  return config;
}

/**
 * `base` with the clusters, users and contexts of `addition`; of the same name, the addition's win, and so does its current
 * context unless empty. Neither argument is changed.
 */
export function mergeKubeconfig(base: Kubeconfig, addition: Kubeconfig): Kubeconfig {
  const merged: Kubeconfig = { ...base, 'current-context': addition['current-context'] || base['current-context'] };
  merged.clusters = byName(base.clusters, addition.clusters);
  merged.users = byName(base.users, addition.users);
  merged.contexts = byName(base.contexts, addition.contexts);
  return merged;
}

/** `base` without a context, and without its cluster and user when no other context uses them. */
export function removeFromKubeconfig(base: Kubeconfig, contextName: string): Kubeconfig {
  const gone = base.contexts.find((one) => one.name === contextName)?.context;
  if (gone === undefined) return base;
  const contexts = base.contexts.filter((one) => one.name !== contextName);
  return {
    ...base,
    contexts,
    clusters: base.clusters.filter(
      (one) => one.name !== gone.cluster || contexts.some((c) => c.context.cluster === one.name),
    ),
    users: base.users.filter((one) => one.name !== gone.user || contexts.some((c) => c.context.user === one.name)),
    'current-context': base['current-context'] === contextName ? '' : base['current-context'],
  };
}

/** What a context (default: the current one) says. Throws KubeconfigError naming what is missing. */
export function kubeconfigTarget(config: Kubeconfig, contextName = config['current-context']): KubeconfigTarget {
  if (contextName === '') throw new KubeconfigError('the kubeconfig has no current context: choose one with --context');
  const context = config.contexts.find((one) => one.name === contextName)?.context;
  if (context === undefined) throw new KubeconfigError(`the kubeconfig has no context ${contextName}`);
  const cluster = config.clusters.find((one) => one.name === context.cluster)?.cluster;
  if (cluster === undefined)
    throw new KubeconfigError(`context ${contextName} names cluster ${context.cluster}, which the kubeconfig lacks`);
  const user = config.users.find((one) => one.name === context.user)?.user ?? {};
  return { contextName, namespace: context.namespace, cluster, user };
}

function byName<T extends { name: string }>(base: readonly T[], addition: readonly T[]): T[] {
  const added = new Map(addition.map((one) => [one.name, one]));
  const kept = base.map((one) => {
    const better = added.get(one.name);
    added.delete(one.name);
    return better ?? one;
  });
  return [...kept, ...added.values()];
}
