import { errTooManyRequests } from '#machinery';
import type { Link, ServerRequest } from '../contract.ts';
import { isLongRunning } from './long-running.ts';

export interface LaneLimits {
  /** Requests being worked on at once. */
  readonly inFlight: number;
  /** Requests that may wait for a place; more are refused with 429. */
  readonly waiting: number;
}

const defaults: Readonly<Record<'system' | 'reads' | 'writes', LaneLimits>> = {
  system: { inFlight: 400, waiting: 2000 },
  reads: { inFlight: 400, waiting: 800 },
  writes: { inFlight: 200, waiting: 400 },
};

/**
 * Keeps one kind of caller from starving the others: nodes and control plane, then reads, then writes, each with a limit of its
 * own. In-process callers, system:masters and long-running requests pass.
 */
export function lanesLink(limits: Partial<typeof defaults> = {}): Link {
  const lanes = {
    system: new Lane({ ...defaults.system, ...limits.system }),
    reads: new Lane({ ...defaults.reads, ...limits.reads }),
    writes: new Lane({ ...defaults.writes, ...limits.writes }),
  };
  return async (request, next) => {
    if (isExempt(request)) return next(request);
    const lane = isSystem(request) ? lanes.system : isRead(request.info.verb) ? lanes.reads : lanes.writes;
    const wait = lane.enter(request);
    if (wait !== undefined) await wait;
    try {
      return await next(request);
    } finally {
      lane.leave();
    }
  };
}

function isExempt({ source, identity, info }: ServerRequest): boolean {
  if (source.trusted !== undefined || identity.groups.includes('system:masters')) return true;
  return isLongRunning(info) || !info.isResource;
}

function isSystem({ identity }: ServerRequest): boolean {
  return identity.groups.includes('system:nodes') || identity.user.startsWith('system:kube-');
}

const isRead = (verb: string): boolean => verb === 'get' || verb === 'list';

class Lane {
  readonly #limits: LaneLimits;
  readonly #queue = new Set<() => void>();
  #inFlight = 0;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  /** Undefined: there was a place. */
  enter(request: ServerRequest): Promise<void> | undefined {
    if (this.#inFlight < this.#limits.inFlight) {
      this.#inFlight++;
      return undefined;
    }
    if (this.#queue.size >= this.#limits.waiting) {
      throw errTooManyRequests('Too many requests, please try again later.', 1);
    }
    return new Promise((resolve) => {
      const forget = request.onAbort(() => {
        if (this.#queue.delete(go)) {
          this.#inFlight++;
          resolve();
        }
      });
      const go = (): void => {
        forget();
        resolve();
      };
      this.#queue.add(go);
    });
  }

  leave(): void {
    const [next] = this.#queue;
    if (next === undefined) this.#inFlight--;
    else {
      this.#queue.delete(next);
      next();
    }
  }
}
