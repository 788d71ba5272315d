import type { Handler, Route } from '../contract.ts';
import { textResponse } from '../http/respond.ts';

export interface HealthCheck {
  readonly name: string;
  check(): boolean | Promise<boolean>;
  /** Only readiness asks. */
  readonly readyOnly?: boolean;
}

/** /healthz, /livez and /readyz, each with `?verbose`, `?exclude=NAME` and one path for each check. */
export function healthRoutes(checks: readonly HealthCheck[]): Route[] {
  return ['healthz', 'livez', 'readyz'].flatMap((endpoint) => {
    const asked = checks.filter((one) => endpoint === 'readyz' || one.readyOnly !== true);
    return [
      { path: `/${endpoint}`, handle: answer(endpoint, asked) },
      ...asked.map((one): Route => ({ path: `/${endpoint}/${one.name}`, handle: answer(endpoint, [one], true) })),
    ];
  });
}

function answer(endpoint: string, checks: readonly HealthCheck[], single = false): Handler {
  return async ({ info }) => {
    const excluded = new Set(info.options.getAll('exclude'));
    const lines: string[] = [];
    let healthy = true;
    for (const one of checks) {
      if (excluded.has(one.name)) {
        lines.push(`[+]${one.name} excluded: ok`);
        continue;
      }
      const ok = await passes(one);
      healthy &&= ok;
      lines.push(ok ? `[+]${one.name} ok` : `[-]${one.name} failed: reason withheld`);
    }
    if (!healthy) return textResponse(500, `${lines.join('\n')}\n${endpoint} check failed\n`);
    if (single || !info.options.has('verbose')) return textResponse(200, 'ok');
    return textResponse(200, `${lines.join('\n')}\n${endpoint} check passed\n`);
  };
}

async function passes(one: HealthCheck): Promise<boolean> {
  try {
    return await one.check();
  } catch {
    return false;
  }
}
