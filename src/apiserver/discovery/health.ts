import { type Log, type MetricRegistry, messageOf } from '#base';
import { goQuote } from '#machinery';
import type { Handler, Route } from '../contract.ts';
import { textResponse } from '../http/respond.ts';

export interface HealthCheck {
  readonly name: string;
  check(): boolean | Promise<boolean>;
  /** Only readiness asks. */
  readonly readyOnly?: boolean;
}

export interface HealthOptions {
  readonly checks: readonly HealthCheck[];
  readonly log: Log;
  /** Where `kubernetes_healthcheck` and `kubernetes_healthchecks_total` are kept; /metrics/slis shows it. */
  readonly registry: MetricRegistry;
}

type Endpoint = 'healthz' | 'livez' | 'readyz';

/** /healthz, /livez and /readyz, each with `?verbose`, `?exclude=NAME` and one path for each check; /metrics/slis counts them. */
export function healthRoutes({ checks, log, registry }: HealthOptions): Route[] {
  const labels = ['name', 'type'];
  const last = registry.gauge({
    name: 'kubernetes_healthcheck',
    help: 'How a check last ended: 1 good, 0 not.',
    labels,
  });
  const all = registry.counter({
    name: 'kubernetes_healthchecks_total',
    help: 'Checks made, by how they ended.',
    labels: [...labels, 'status'],
  });
  const passes = async (one: HealthCheck, endpoint: Endpoint): Promise<string | undefined> => {
    let failure: string | undefined;
    try {
      if (!(await one.check())) failure = 'not yet, or not any more';
    } catch (error) {
      failure = messageOf(error);
    }
    last.set(failure === undefined ? 1 : 0, one.name, endpoint);
    all.add(1, one.name, endpoint, failure === undefined ? 'success' : 'error');
    return failure;
  };
  const whole =
    (endpoint: Endpoint, asked: readonly HealthCheck[]): Handler =>
    async ({ info }) => {
      const unknown = new Set(info.options.getAll('exclude'));
      const excluded = new Set(unknown);
      const lines: string[] = [];
      const failures: Record<string, string> = {};
      for (const one of asked) {
        if (excluded.has(one.name)) {
          unknown.delete(one.name);
          lines.push(`[+]${one.name} excluded: ok`);
          continue;
        }
        const failure = await passes(one, endpoint);
        if (failure !== undefined) failures[one.name] = failure;
        lines.push(failure === undefined ? `[+]${one.name} ok` : `[-]${one.name} failed: reason withheld`);
      }
      if (unknown.size > 0) {
        const names = [...unknown].sort().map(goQuote).join(',');
        lines.push(`warn: some health checks cannot be excluded: no matches for ${names}`);
      }
      if (Object.keys(failures).length > 0) {
        log.info({ endpoint, failures }, 'a health check failed');
        return textResponse(500, `${lines.join('\n')}\n${endpoint} check failed\n`);
      }
      if (!info.options.has('verbose')) return textResponse(200, 'ok');
      return textResponse(200, `${lines.join('\n')}\n${endpoint} check passed\n`);
    };
  const single =
    (endpoint: Endpoint, one: HealthCheck): Handler =>
    async () => {
      const failure = await passes(one, endpoint);
      if (failure === undefined) return textResponse(200, 'ok');
      return textResponse(500, `internal server error: ${one.name}: ${failure}\n`);
    };
  const routes = (['healthz', 'livez', 'readyz'] as const).flatMap((endpoint) => {
    const asked = checks.filter((one) => endpoint === 'readyz' || one.readyOnly !== true);
    return [
      { path: `/${endpoint}`, handle: whole(endpoint, asked) },
      ...asked.map((one): Route => ({ path: `/${endpoint}/${one.name}`, handle: single(endpoint, one) })),
    ];
  });
  const slis: Handler = async () => ({
    status: 200,
    headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    body: Buffer.from(`${registry.lines().join('\n')}\n`),
  });
  return [...routes, { path: '/metrics/slis', handle: slis }];
}
