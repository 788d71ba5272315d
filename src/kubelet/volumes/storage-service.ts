import type { CsiVolumes } from './csi/csi-volumes.ts';
import { DriverError } from './errors.ts';
import { localDriver, type LocalVolumes } from './local-volumes.ts';

export interface StorageService {
  /**
   * Does one call of the controller half of a driver that is on this node: `k8ts.io/local`, or a CSI driver by name. Requests and answers are
   * those of CSI v1. Throws DriverError with the name of a gRPC status.
   */
  call(driver: string, method: string, request: object): Promise<object>;
}

/** Below the limit that the API server's proxy sets for an answer to begin. */
const callMs = 25_000;
const controllerMethods: ReadonlySet<string> = new Set([
  'ControllerGetCapabilities',
  'CreateVolume',
  'DeleteVolume',
  'ControllerPublishVolume',
  'ControllerUnpublishVolume',
  'ControllerExpandVolume',
  'GetCapacity',
]);

interface SizedRequest {
  readonly name?: string;
  readonly volume_id?: string;
  readonly capacity_range?: { readonly required_bytes?: number };
}

/** What the control plane may ask of the storage of a node. */
export function openStorageService(options: {
  readonly nodeName: string;
  readonly local: LocalVolumes;
  readonly csi: () => Promise<CsiVolumes>;
}): StorageService {
  const { nodeName, local, csi } = options;

  async function callLocal(method: string, request: SizedRequest): Promise<object> {
    const bytes = request.capacity_range?.required_bytes ?? 0;
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw new DriverError('INVALID_ARGUMENT', `not a number of bytes: ${String(bytes)}`);
    switch (method) {
      case 'ControllerGetCapabilities':
        return {
          capabilities: ['CREATE_DELETE_VOLUME', 'EXPAND_VOLUME', 'GET_CAPACITY'].map((type) => ({ rpc: { type } })),
        };
      case 'CreateVolume': {
        const { name, capacityBytes, path } = await local.create(String(request.name ?? ''), bytes);
        const accessible_topology = [{ segments: { 'kubernetes.io/hostname': nodeName } }];
        return {
          volume: { volume_id: name, capacity_bytes: capacityBytes, volume_context: { path }, accessible_topology },
        };
      }
      case 'DeleteVolume':
        await local.remove(String(request.volume_id ?? ''));
        return {};
      case 'ControllerExpandVolume':
        return {
          capacity_bytes: await local.expand(String(request.volume_id ?? ''), bytes),
          node_expansion_required: false,
        };
      case 'GetCapacity':
        return { available_capacity: await local.available() };
      default:
        throw new DriverError('UNIMPLEMENTED', `${localDriver} has no method ${method}`);
    }
  }

  return {
    async call(driver, method, request) {
      if (!controllerMethods.has(method)) throw new DriverError('UNIMPLEMENTED', `no method ${method} is served here`);
      if (driver === localDriver) return callLocal(method, request);
      const { registry } = await csi();
      const found = registry.get(driver);
      if (found === undefined)
        throw new DriverError('DRIVER_MISSING', `driver ${driver} is not registered on ${nodeName}`);
      return found.controller(method, request, callMs);
    },
  };
}
