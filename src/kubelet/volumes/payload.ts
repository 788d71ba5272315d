import type { ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, Volume, VolumeProjection } from '#api';
import type { ObjectSource } from '../pods/environment.ts';
import { allContainers } from '../pods/containers.ts';
import { fieldValue, type PodFacts, resourceValue } from '../pods/field-values.ts';
import type { Payload, PayloadFile } from './atomic-writer.ts';
import { VolumeError } from './errors.ts';
import type { TokenSource } from './tokens.ts';

export interface PayloadInput {
  readonly pod: Pod;
  readonly volume: Volume;
  readonly objects: ObjectSource;
  readonly tokens: TokenSource;
  readonly facts: PodFacts;
}

export interface CollectedPayload {
  readonly files: Payload;
  /** When the content is to be made again even if nothing changes (tokens), Unix ms. */
  readonly refreshAtMs: number;
}

const defaultMode = 0o644;
const defaultTokenSeconds = 3600;

/** Whether a volume is a set of files that the kubelet writes and keeps up to date. */
export function isPayloadVolume(volume: Volume): boolean {
  return (volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected) !== undefined;
}

/** The files that a configMap, secret, downwardAPI or projected volume is to hold now. Throws VolumeError when a source is missing. */
export async function volumePayload(input: PayloadInput): Promise<CollectedPayload> {
  const { volume } = input;
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap !== undefined) {
    const files = await configMapFiles(input, configMap, configMap.defaultMode ?? defaultMode);
    return { files, refreshAtMs: Number.POSITIVE_INFINITY };
  }
  if (secret !== undefined) {
    const { secretName: name, items, optional, defaultMode: mode = defaultMode } = secret;
    const files = await secretFiles(input, { name, items, optional }, mode);
    return { files, refreshAtMs: Number.POSITIVE_INFINITY };
  }
  if (downwardAPI !== undefined) {
    const files = downwardFiles(input, downwardAPI.items ?? [], downwardAPI.defaultMode ?? defaultMode);
    return { files, refreshAtMs: Number.POSITIVE_INFINITY };
  }
  const files = new Map<string, PayloadFile>();
  let refreshAtMs = Number.POSITIVE_INFINITY;
  for (const source of projected?.sources ?? []) {
    const part = await projectionFiles(input, source, projected?.defaultMode ?? defaultMode);
    for (const [path, file] of part.files) files.set(path, file);
    refreshAtMs = Math.min(refreshAtMs, part.refreshAtMs);
  }
  return { files, refreshAtMs };
}

async function projectionFiles(input: PayloadInput, source: VolumeProjection, mode: number): Promise<CollectedPayload> {
  const never = Number.POSITIVE_INFINITY;
  if (source.configMap !== undefined)
    return { files: await configMapFiles(input, source.configMap, mode), refreshAtMs: never };
  if (source.secret !== undefined) return { files: await secretFiles(input, source.secret, mode), refreshAtMs: never };
  if (source.downwardAPI !== undefined)
    return { files: downwardFiles(input, source.downwardAPI.items ?? [], mode), refreshAtMs: never };
  if (source.serviceAccountToken !== undefined) {
    const { path, audience, expirationSeconds = defaultTokenSeconds } = source.serviceAccountToken;
    const { token, refreshAtMs } = await input.tokens.token(input.pod, {
      expirationSeconds,
      ...(audience ? { audience } : {}),
    });
    const uid = commonUser(input.pod);
    const narrow = uid !== undefined || input.pod.spec?.securityContext?.fsGroup !== undefined;
    const file: PayloadFile = {
      content: Buffer.from(token),
      mode: narrow ? 0o600 : mode,
      ...(uid === undefined ? {} : { uid }),
    };
    return { files: new Map([[path, file]]), refreshAtMs };
  }
  throw new VolumeError(
    'ProjectionUnsupported',
    `a source of projected volume "${input.volume.name}" is not known to this node`,
  );
}

/** The user that every container runs as, when they are all told the same one. */
function commonUser(pod: Pod): number | undefined {
  const users = new Set(
    allContainers(pod)
      .filter(({ kind }) => kind !== 'ephemeral')
      .map(({ spec }) => spec.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser),
  );
  return users.size === 1 ? [...users][0] : undefined;
}

interface KeyedSource {
  readonly name?: string | undefined;
  readonly items?: readonly KeyToPath[] | undefined;
  readonly optional?: boolean | undefined;
}

async function configMapFiles(
  { pod, objects }: PayloadInput,
  source: KeyedSource,
  mode: number,
): Promise<Map<string, PayloadFile>> {
  const name = source.name ?? '';
  const found: ConfigMap | undefined = await objects.configMap(pod.metadata.namespace, name);
  if (found === undefined && !source.optional) throw new VolumeError('ObjectMissing', `configmap "${name}" not found`);
  const content = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(found?.data ?? {})) content.set(key, Buffer.from(value));
  for (const [key, value] of Object.entries(found?.binaryData ?? {})) content.set(key, Buffer.from(value, 'base64'));
  return keyedFiles(content, source, { mode, what: 'configmap' });
}

async function secretFiles(
  { pod, objects }: PayloadInput,
  source: KeyedSource,
  mode: number,
): Promise<Map<string, PayloadFile>> {
  const name = source.name ?? '';
  const found: Secret | undefined = await objects.secret(pod.metadata.namespace, name);
  if (found === undefined && !source.optional) throw new VolumeError('ObjectMissing', `secret "${name}" not found`);
  const content = new Map(Object.entries(found?.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
  return keyedFiles(content, source, { mode, what: 'secret' });
}

function keyedFiles(
  content: ReadonlyMap<string, Buffer>,
  { items, optional }: KeyedSource,
  options: { readonly mode: number; readonly what: string },
): Map<string, PayloadFile> {
  const files = new Map<string, PayloadFile>();
  if (items === undefined || items.length === 0) {
    for (const [key, bytes] of content) files.set(key, { content: bytes, mode: options.mode });
    return files;
  }
  for (const { key, path, mode = options.mode } of items) {
    const bytes = content.get(key);
    if (bytes !== undefined) files.set(path, { content: bytes, mode });
    else if (!optional) throw new VolumeError('KeyMissing', `references non-existent ${options.what} key: ${key}`);
  }
  return files;
}

function downwardFiles(
  { pod, facts }: PayloadInput,
  items: readonly DownwardAPIVolumeFile[],
  mode: number,
): Map<string, PayloadFile> {
  const files = new Map<string, PayloadFile>();
  for (const item of items) {
    const text =
      item.fieldRef !== undefined
        ? fieldValue(pod, item.fieldRef.fieldPath, facts)
        : item.resourceFieldRef !== undefined
          ? resourceValue(pod, undefined, item.resourceFieldRef, facts)
          : '';
    files.set(item.path, { content: Buffer.from(text), mode: item.mode ?? mode });
  }
  return files;
}
