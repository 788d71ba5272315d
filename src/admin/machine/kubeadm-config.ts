import { readFileSync } from 'node:fs';
import { CodedError, messageOf } from '#base';
import { decodeYaml, decodeYamlDocuments, encodeYaml } from '#codec';
import { parseEvictionThresholds } from '#machinery';
import { argumentsOfOpenId, knownApiServerArguments, openIdOfArguments } from './api-server-arguments.ts';
import type { ClusterSettings, NodeLimits, TaintSetting } from './settings.ts';

/** What a file of kubeadm's configuration asks for, as far as it is known here; `warnings` names the rest. */
export interface KubeadmConfig {
  readonly cluster: Partial<ClusterSettings>;
  readonly node: {
    readonly nodeName?: string;
    readonly criSocket?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly taints?: readonly TaintSetting[];
    readonly ignorePreflightErrors?: readonly string[];
    readonly limits?: NodeLimits;
  };
  readonly advertiseAddress?: string;
  readonly bindPort?: number;
  readonly tokens: readonly {
    readonly token?: string;
    readonly ttl?: string;
    readonly description?: string;
    readonly usages?: readonly string[];
    readonly groups?: readonly string[];
  }[];
  /** Only of a JoinConfiguration. */
  readonly join?: {
    readonly endpoint?: string;
    readonly token?: string;
    readonly caCertHashes?: readonly string[];
    readonly skipCaVerification?: boolean;
    readonly controlPlane?: boolean;
  };
  readonly warnings: readonly string[];
}

const groupOf = 'kubeadm.k8s.io/';
const knownKinds = ['InitConfiguration', 'ClusterConfiguration', 'JoinConfiguration'];

/**
 * Reads kubeadm.k8s.io v1beta3 and v1beta4 documents (InitConfiguration, ClusterConfiguration, JoinConfiguration), and of a
 * KubeletConfiguration what concerns the room of the node.
 */
export function readKubeadmConfig(file: string): KubeadmConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CodedError('ConfigurationUnreadable', `--config ${file} cannot be read: ${messageOf(error)}`);
  }
  try {
    return parseKubeadmConfig(text);
  } catch (error) {
    throw new CodedError('ConfigurationUnreadable', `--config ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** A mapping of a document that notes which of its fields nobody asked for. */
class Fields {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #asked = new Set<string>();
  readonly #inner: Fields[] = [];
  readonly #unasked: string[] = [];

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new CodedError('ConfigurationUnreadable', `${path} is not a mapping`);
    this.#value = value as Readonly<Record<string, unknown>>;
    this.#path = path;
  }

  #get<T>(name: string, isRight: (value: unknown) => value is T, what: string): T | undefined {
    this.#asked.add(name);
    const value = Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
    if (value === undefined || value === null) return undefined;
    if (!isRight(value)) throw new CodedError('ConfigurationUnreadable', `${this.#path}.${name} is not ${what}`);
    return value;
  }

  text(name: string): string | undefined {
    const found = this.#get(name, (value) => typeof value === 'string', 'a text');
    return found === '' ? undefined : found;
  }

  number(name: string): number | undefined {
    const isNumber = (value: unknown): value is number | bigint => ['number', 'bigint'].includes(typeof value);
    const found = this.#get(name, isNumber, 'a number');
    return found === undefined ? undefined : Number(found);
  }

  yes(name: string): boolean | undefined {
    return this.#get(name, (value) => typeof value === 'boolean', 'true or false');
  }

  list(name: string): readonly unknown[] | undefined {
    return this.#get(name, (value) => Array.isArray(value), 'a list');
  }

  texts(name: string): readonly string[] | undefined {
    return this.list(name)?.map(String);
  }

  maps(name: string): Fields[] | undefined {
    const found = this.list(name)?.map((one, index) => new Fields(one, `${this.#path}.${name}[${index}]`));
    if (found !== undefined) this.#inner.push(...found);
    return found;
  }

  map(name: string): Fields | undefined {
    this.#asked.add(name);
    const value = Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
    if (value === undefined || value === null) return undefined;
    const found = new Fields(value, `${this.#path}.${name}`);
    this.#inner.push(found);
    return found;
  }

  /** `extraArgs`: a mapping in v1beta3, a list of name and value in v1beta4. Those that are not in `known` are not asked for. */
  arguments(name: string, known: readonly string[]): Record<string, string> {
    const value = Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
    this.#asked.add(name);
    const all = Array.isArray(value)
      ? value.map((one) => [String(one?.name ?? ''), String(one?.value ?? '')] as const)
      : typeof value === 'object' && value !== null
        ? Object.entries(value).map(([key, one]) => [key, String(one)] as const)
        : [];
    for (const [key] of all) if (!known.includes(key)) this.#unasked.push(`${name}.${key}`);
    return Object.fromEntries(all);
  }

  /** All of the mapping, as texts. */
  allTexts(): Record<string, string> {
    for (const name of Object.keys(this.#value)) this.#asked.add(name);
    return Object.fromEntries(Object.entries(this.#value).map(([name, value]) => [name, String(value)]));
  }

  get unknown(): string[] {
    const own = [...Object.keys(this.#value).filter((name) => !this.#asked.has(name)), ...this.#unasked].map(
      (name) => `${this.#path}.${name}`,
    );
    return [...own, ...this.#inner.flatMap((one) => one.unknown)];
  }
}

export function parseKubeadmConfig(text: string): KubeadmConfig {
  const result: { -readonly [key in keyof KubeadmConfig]: KubeadmConfig[key] } = {
    cluster: {},
    node: {},
    tokens: [],
    warnings: [],
  };
  const warnings: string[] = [];
  let limits: NodeLimits | undefined;
  for (const document of decodeYamlDocuments(new TextEncoder().encode(text))) {
    if (document === null || document === undefined) continue;
    const top = new Fields(document, '');
    const kind = top.text('kind') ?? '';
    const apiVersion = top.text('apiVersion') ?? '';
    if (kind === 'KubeletConfiguration' && apiVersion === 'kubelet.config.k8s.io/v1beta1') {
      const fields = new Fields(document, kind);
      limits = limitsOf(fields);
      warnings.push(...fields.unknown.map((path) => `${path} is not used`));
      continue;
    }
    if (!apiVersion.startsWith(groupOf) || !knownKinds.includes(kind)) {
      warnings.push(`${kind || 'a document without kind'} (${apiVersion || 'no apiVersion'}) is not used`);
      continue;
    }
    if (!['v1beta3', 'v1beta4'].includes(apiVersion.slice(groupOf.length)))
      throw new CodedError('ConfigurationUnreadable', `${kind} is of ${apiVersion}: v1beta3 and v1beta4 are read`);
    const fields = new Fields(document, kind);
    fields.text('kind');
    fields.text('apiVersion');
    if (kind === 'ClusterConfiguration') result.cluster = clusterOf(fields);
    else {
      result.node = nodeOf(fields.map('nodeRegistration'));
      if (kind === 'InitConfiguration') readInit(fields, result);
      else readJoin(fields, result);
    }
    warnings.push(...fields.unknown.map((path) => `${path} is not used`));
  }
  const node = limits === undefined ? result.node : { ...result.node, limits };
  return { ...result, node, warnings };
}

function limitsOf(fields: Fields): NodeLimits {
  fields.text('kind');
  fields.text('apiVersion');
  const evictionHard = fields.map('evictionHard')?.allTexts();
  return given({
    maxPods: fields.number('maxPods'),
    evictionHard: evictionHard === undefined ? undefined : parseEvictionThresholds(evictionHard),
    imageGcHighPercent: fields.number('imageGCHighThresholdPercent'),
    imageGcLowPercent: fields.number('imageGCLowThresholdPercent'),
  });
}

function clusterOf(fields: Fields): Partial<ClusterSettings> {
  const networking = fields.map('networking');
  const apiServer = fields.map('apiServer');
  const certSans = apiServer?.texts('certSANs');
  const openId = openIdOfArguments(apiServer?.arguments('extraArgs', knownApiServerArguments) ?? {});
  fields.text('kubernetesVersion');
  return given({
    clusterName: fields.text('clusterName'),
    controlPlaneEndpoint: fields.text('controlPlaneEndpoint'),
    podCidr: networking?.text('podSubnet'),
    serviceCidr: networking?.text('serviceSubnet'),
    dnsDomain: networking?.text('dnsDomain'),
    // Not kubeadm's: what the built-in network is to be.
    cni: oneOf(networking?.text('cni'), 'networking.cni', ['none']),
    networkMode: oneOf(networking?.text('networkMode'), 'networking.networkMode', ['routes', 'vxlan']),
    certSans,
    openId,
  });
}

function nodeOf(fields: Fields | undefined): KubeadmConfig['node'] {
  if (fields === undefined) return {};
  const taints = fields.maps('taints')?.map((one) => ({
    key: one.text('key') ?? '',
    effect: one.text('effect') ?? 'NoSchedule',
    ...given({ value: one.text('value') }),
  }));
  const labels = fields.arguments('kubeletExtraArgs', ['node-labels'])['node-labels'];
  return given({
    nodeName: fields.text('name'),
    criSocket: fields.text('criSocket'),
    taints,
    labels: labels === undefined ? undefined : parseLabels(labels),
    ignorePreflightErrors: fields.texts('ignorePreflightErrors'),
  });
}

type Draft = { -readonly [key in keyof KubeadmConfig]: KubeadmConfig[key] };

function readInit(fields: Fields, result: Draft): void {
  const endpoint = fields.map('localAPIEndpoint');
  const tokens = fields.maps('bootstrapTokens') ?? [];
  Object.assign(result, given({ advertiseAddress: endpoint?.text('advertiseAddress') }));
  Object.assign(result, given({ bindPort: endpoint?.number('bindPort') }));
  result.tokens = tokens.map((one) =>
    given({
      token: one.text('token'),
      ttl: one.text('ttl'),
      description: one.text('description'),
      usages: one.texts('usages'),
      groups: one.texts('groups'),
    }),
  );
}

function readJoin(fields: Fields, result: Draft): void {
  const discovery = fields.map('discovery');
  const bootstrap = discovery?.map('bootstrapToken');
  const controlPlane = fields.map('controlPlane');
  const endpoint = controlPlane?.map('localAPIEndpoint');
  Object.assign(result, given({ advertiseAddress: endpoint?.text('advertiseAddress') }));
  Object.assign(result, given({ bindPort: endpoint?.number('bindPort') }));
  result.join = given({
    endpoint: bootstrap?.text('apiServerEndpoint'),
    token: bootstrap?.text('token') ?? discovery?.text('tlsBootstrapToken'),
    caCertHashes: bootstrap?.texts('caCertHashes'),
    skipCaVerification: bootstrap?.yes('unsafeSkipCAVerification'),
    controlPlane: controlPlane === undefined ? undefined : true,
  });
}

/** `a=b,c=d`. */
export function parseLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split(',')
      .filter((one) => one !== '')
      .map((one) => {
        const [key = '', value = ''] = one.split('=');
        return [key.trim(), value.trim()];
      }),
  );
}

function oneOf<T extends string>(value: string | undefined, path: string, known: readonly T[]): T | undefined {
  if (value === undefined || known.includes(value as T)) return value as T | undefined;
  throw new CodedError(
    'ConfigurationUnreadable',
    `ClusterConfiguration.${path} is ${value}, not ${known.join(' or ')}`,
  );
}

/** Without the fields that are undefined. */
function given<T extends object>(value: T): { [key in keyof T]?: Exclude<T[key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}

/** The document that every machine finds in the ConfigMap kubeadm-config. */
export function printClusterConfiguration(settings: ClusterSettings, kubernetesVersion: string): string {
  const document = {
    apiVersion: 'kubeadm.k8s.io/v1beta4',
    kind: 'ClusterConfiguration',
    clusterName: settings.clusterName,
    ...(settings.controlPlaneEndpoint === undefined ? {} : { controlPlaneEndpoint: settings.controlPlaneEndpoint }),
    kubernetesVersion,
    ...(settings.certSans.length === 0 && settings.openId === undefined ? {} : { apiServer: apiServerOf(settings) }),
    networking: {
      dnsDomain: settings.dnsDomain,
      podSubnet: settings.podCidr,
      serviceSubnet: settings.serviceCidr,
      ...(settings.cni === undefined ? {} : { cni: settings.cni }),
      ...(settings.networkMode === undefined ? {} : { networkMode: settings.networkMode }),
    },
  };
  return Buffer.from(encodeYaml(document)).toString('utf8');
}

function apiServerOf({ certSans, openId }: ClusterSettings): object {
  return {
    ...(certSans.length === 0 ? {} : { certSANs: [...certSans] }),
    ...(openId === undefined ? {} : { extraArgs: argumentsOfOpenId(openId) }),
  };
}

/** The cluster's settings out of the ConfigMap's document, and the version noted there. */
export function parseClusterConfiguration(text: string): {
  readonly settings: Partial<ClusterSettings>;
  readonly kubernetesVersion?: string;
} {
  const document = decodeYaml(new TextEncoder().encode(text));
  const fields = new Fields(document, 'ClusterConfiguration');
  const kubernetesVersion = fields.text('kubernetesVersion');
  return { settings: clusterOf(fields), ...(kubernetesVersion === undefined ? {} : { kubernetesVersion }) };
}
