import { type Clock, CodedError, messageOf } from '#base';
import type { Container, EphemeralContainer, Pod, Secret } from '#api';
import { formatGoDuration } from '#machinery';
import type { Cri, Image, SandboxConfig } from '../cri/contract.ts';
import { isRuntimeDown } from '../cri/errors.ts';
import { type Keyring, keyringOf } from './keyring.ts';

/** An image that cannot be had now. `code` is the waiting reason of the container: ErrImagePull, ImagePullBackOff … */
export class ImageError extends CodedError {
  /** When it is worth trying again, in milliseconds from now. */
  readonly retryInMs: number;
  constructor(code: string, message: string, retryInMs: number) {
    super(code, message);
    this.retryInMs = retryInMs;
  }
}

export interface PullRequest {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly sandbox: SandboxConfig | undefined;
  readonly pullSecrets: () => Promise<readonly Secret[]>;
  readonly event: (type: 'Normal' | 'Warning', reason: string, message: string) => void;
}

export interface ImagePuller {
  /** The image of a container, pulled as its policy asks. Throws ImageError. */
  ensure(request: PullRequest): Promise<Image>;
}

const firstBackoffMs = 10_000;
const longestBackoffMs = 300_000;
const pullsAtOnce = 5;

interface Failure {
  delayMs: number;
  sinceMs: number;
  message: string;
}

export function openImagePuller(options: { readonly cri: Cri; readonly clock: Clock }): ImagePuller {
  const { cri, clock } = options;
  const failures = new Map<string, Failure>();
  const inFlight = new Map<string, Promise<string>>();
  const queue: (() => void)[] = [];
  let pulling = 0;

  async function limited<T>(work: () => Promise<T>): Promise<T> {
    if (pulling >= pullsAtOnce) await new Promise<void>((resolve) => queue.push(resolve));
    pulling++;
    try {
      return await work();
    } finally {
      pulling--;
      queue.shift()?.();
    }
  }

  /** One pull of an image at a time; whoever asks meanwhile with the same credentials shares it. */
  function pull(image: string, keyring: Keyring, sandbox: SandboxConfig | undefined): Promise<string> {
    const auths = [...keyring.lookup(image), undefined];
    const key = JSON.stringify([image, auths]);
    let running = inFlight.get(key);
    if (running === undefined) {
      running = limited(async () => {
        let failure: unknown;
        for (const auth of auths) {
          try {
            return await cri.pullImage(image, auth, sandbox);
          } catch (error) {
            failure = failure ?? error;
          }
        }
        throw failure;
      }).finally(() => inFlight.delete(key));
      inFlight.set(key, running);
    }
    return running;
  }

  return {
    async ensure({ pod, container, sandbox, pullSecrets, event }) {
      const image = container.image ?? '';
      const policy = container.imagePullPolicy ?? 'IfNotPresent';
      if (!isImageReference(image)) {
        const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`;
        event('Warning', 'InspectFailed', message);
        throw new ImageError('InvalidImageName', message, longestBackoffMs);
      }
      const present = policy === 'Always' ? undefined : await cri.imageStatus(image);
      if (present !== undefined) {
        event(
          'Normal',
          'Pulled',
          `Container image "${image}" already present on machine and can be accessed by the pod`,
        );
        return present;
      }
      if (policy === 'Never') {
        const message = `Container image "${image}" is not present with pull policy of Never`;
        event('Warning', 'ErrImageNeverPull', message);
        throw new ImageError('ErrImageNeverPull', message, firstBackoffMs);
      }
      const key = `${pod.metadata.uid}_${image}`;
      const nowMs = clock.nowMs();
      const failure = failures.get(key);
      if (failure !== undefined && nowMs - failure.sinceMs < failure.delayMs) {
        const message = `Back-off pulling image "${image}": ErrImagePull: ${failure.message}`;
        event('Normal', 'BackOff', `Back-off pulling image "${image}"`);
        throw new ImageError('ImagePullBackOff', message, failure.delayMs - (nowMs - failure.sinceMs));
      }
      event('Normal', 'Pulling', `Pulling image "${image}"`);
      try {
        const keyring = keyringOf(await pullSecrets());
        const startedMs = clock.monotonicMs();
        const reference = await pull(image, keyring, sandbox);
        const took = formatGoDuration(Math.round(clock.monotonicMs() - startedMs));
        const found = (await cri.imageStatus(image)) ?? (await cri.imageStatus(reference));
        if (found === undefined) throw new CodedError('ImageMissing', `image ${image} was pulled but is not there`);
        failures.delete(key);
        event(
          'Normal',
          'Pulled',
          `Successfully pulled image "${image}" in ${took} (${took} including waiting). Image size: ${found.size} bytes.`,
        );
        return found;
      } catch (error) {
        const message = messageOf(error);
        const delayMs = failure === undefined ? firstBackoffMs : Math.min(longestBackoffMs, failure.delayMs * 2);
        failures.set(key, { delayMs, sinceMs: clock.nowMs(), message });
        event('Warning', 'Failed', `Failed to pull image "${image}": ${message}`);
        const reason =
          isRuntimeDown(error) || /registry is unavailable/i.test(message) ? 'RegistryUnavailable' : 'ErrImagePull';
        throw new ImageError(
          reason === 'RegistryUnavailable' ? 'ErrImagePull' : reason,
          `failed to pull image "${image}": ${message}`,
          1000,
        );
      }
    },
  };
}

/** The shape of a reference: `[host[:port]/]path[:tag][@digest]`, paths in lower case. */
export function isImageReference(image: string): boolean {
  if (image.length === 0 || image.length > 512) return false;
  const [name = '', digest, ...more] = image.split('@');
  if (more.length > 0 || (digest !== undefined && !/^[a-z0-9+._-]+:[0-9a-fA-F]{32,}$/.test(digest))) return false;
  const parts = name.split('/');
  const last = parts.pop() ?? '';
  const [leaf = '', tag, ...rest] = last.split(':');
  if (rest.length > 0 || (tag !== undefined && !/^\w[\w.-]{0,127}$/.test(tag))) return false;
  const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
  const host =
    /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d+)?$/;
  return component.test(leaf) && parts.every((part, at) => component.test(part) || (at === 0 && host.test(part)));
}
