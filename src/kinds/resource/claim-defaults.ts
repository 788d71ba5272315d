import type { ResourceClaimSpec } from '#api';

export function applyClaimDefaults(spec: ResourceClaimSpec | undefined): void {
  for (const request of spec?.devices?.requests ?? [])
    for (const one of [...(request.exactly == null ? [] : [request.exactly]), ...(request.firstAvailable ?? [])]) {
      if (!one.allocationMode) one.allocationMode = 'ExactCount';
      if (one.allocationMode === 'ExactCount' && !one.count) one.count = 1;
      for (const toleration of one.tolerations ?? []) if (!toleration.operator) toleration.operator = 'Equal';
    }
}
