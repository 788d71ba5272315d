import { createHash } from 'node:crypto';
import { pauseProgram } from './pause.ts';
import { type TarEntry, tarOf } from './tar.ts';

export type Architecture = 'amd64' | 'arm64';

/** An image to build: one layer, reproducible (same input, same digests). */
export interface ImageDescription {
  /** Full reference, as containers name it once normalised: `docker.io/library/busybox:1`. */
  readonly name: string;
  readonly files: readonly TarEntry[];
  readonly config?: {
    readonly entrypoint?: readonly string[];
    readonly cmd?: readonly string[];
    readonly env?: readonly string[];
    readonly user?: string;
    readonly workingDir?: string;
    readonly stopSignal?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly architecture?: Architecture;
}

/** The architecture of this machine in OCI's words. */
export function hostArchitecture(): Architecture {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}

/**
 * An OCI image layout as a tar archive with these images in it, as `ctr images import` and `k8ts image load` read it.
 * Format: OCI image-spec 1.0; names travel in the annotations that containerd reads.
 */
export function buildImages(images: readonly ImageDescription[]): Uint8Array {
  const blobs = new Map<string, Uint8Array>();
  const manifests = images.map((image) => {
    const manifest = manifestOf(image, blobs);
    return {
      ...manifest,
      annotations: { 'io.containerd.image.name': image.name, 'org.opencontainers.image.ref.name': tagOf(image.name) },
    };
  });
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests };
  return tarOf([
    { path: 'oci-layout', content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { path: 'index.json', content: Buffer.from(JSON.stringify(index)) },
    { path: 'blobs', type: 'directory' },
    { path: 'blobs/sha256', type: 'directory' },
    ...[...blobs].map(([hex, content]) => ({ path: `blobs/sha256/${hex}`, content })),
  ]);
}

/** The archive of one image. */
export function buildImage(image: ImageDescription): Uint8Array {
  return buildImages([image]);
}

/** Default name of the pause image that the kubelet's runtime is configured with (`sandbox_image`). */
export const pauseImageName = 'k8ts.local/pause:1';

/** The sandbox image, made here so that a first pod needs no registry. */
export function pauseImage(options: { name?: string; architecture?: Architecture } = {}): ImageDescription {
  const { name = pauseImageName, architecture = hostArchitecture() } = options;
  return {
    name,
    architecture,
    files: [{ path: 'pause', content: pauseProgram(architecture), mode: 0o755 }],
    config: { entrypoint: ['/pause'], user: '65535:65535' },
  };
}

export function buildPauseImage(options: { name?: string; architecture?: Architecture } = {}): Uint8Array {
  return buildImage(pauseImage(options));
}

function manifestOf(
  image: ImageDescription,
  blobs: Map<string, Uint8Array>,
): { mediaType: string; digest: string; size: number; platform: object } {
  const { architecture = hostArchitecture(), config = {} } = image;
  const store = (mediaType: string, content: Uint8Array): { mediaType: string; digest: string; size: number } => {
    const hex = createHash('sha256').update(content).digest('hex');
    blobs.set(hex, content);
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const layer = store('application/vnd.oci.image.layer.v1.tar', tarOf(image.files));
  const imageConfig = {
    created: '1970-01-01T00:00:00Z',
    architecture,
    os: 'linux',
    config: {
      User: config.user,
      Env: config.env ?? ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Entrypoint: config.entrypoint,
      Cmd: config.cmd,
      WorkingDir: config.workingDir,
      StopSignal: config.stopSignal,
      Labels: config.labels,
    },
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: store('application/vnd.oci.image.config.v1+json', Buffer.from(JSON.stringify(imageConfig))),
    layers: [layer],
  };
  const stored = store(manifest.mediaType, Buffer.from(JSON.stringify(manifest)));
  return { ...stored, platform: { architecture, os: 'linux' } };
}

function tagOf(name: string): string {
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(colon + 1) : 'latest';
}
