import type { AnyObject, PersistentVolumeClaim, StorageClass } from '#api';
import { compareQuantities } from '#machinery';
import type { AdmissionPlugin, ObjectView } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';
import { refuse } from './refuse.ts';

const defaultAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

/** The newest object whose annotation makes it the default; of equally new ones the first by name. */
export function newestDefault(view: ObjectView, annotations: readonly string[]): AnyObject | undefined {
  const found = view.list().filter((one) => annotations.some((key) => one.metadata.annotations?.[key] === 'true'));
  return found.sort((a, b) => {
    if (a.metadata.creationTimestamp !== b.metadata.creationTimestamp)
      return a.metadata.creationTimestamp > b.metadata.creationTimestamp ? -1 : 1;
    return a.metadata.name < b.metadata.name ? -1 : 1;
  })[0];
}

/** Claims that name no class get the default one. */
export function defaultStorageClass({ objects }: AdmissionOptions): AdmissionPlugin {
  const view = objects.view('storage.k8s.io/v1', 'storageclasses');
  return {
    name: 'DefaultStorageClass',
    handles: (operation, definition, subresource) =>
      operation === 'CREATE' && subresource === '' && definition?.resource.plural === 'persistentvolumeclaims',
    mutate({ object }) {
      const claim = object as unknown as PersistentVolumeClaim;
      if (claim.metadata.annotations?.[classAnnotation] !== undefined || claim.spec?.storageClassName !== undefined)
        return undefined;
      const fill = (): void => {
        const name = newestDefault(view, defaultAnnotations)?.metadata.name;
        if (name !== undefined)
          claim.spec = { ...(claim.spec as PersistentVolumeClaim['spec']), storageClassName: name };
      };
      return view.isReady ? fill() : view.ready.then(fill);
    },
  };
}

const finalizers: Readonly<Record<string, string>> = {
  persistentvolumeclaims: 'kubernetes.io/pvc-protection',
  persistentvolumes: 'kubernetes.io/pv-protection',
  volumeattributesclasses: 'kubernetes.io/vac-protection',
};

/** Volumes and claims carry a finalizer until nobody uses them. */
export function storageObjectInUseProtection(): AdmissionPlugin {
  return {
    name: 'StorageObjectInUseProtection',
    handles: (operation, definition, subresource) =>
      operation === 'CREATE' &&
      subresource === '' &&
      definition !== undefined &&
      Object.hasOwn(finalizers, definition.resource.plural),
    mutate({ object, resource }) {
      const finalizer = finalizers[resource];
      if (object === undefined || finalizer === undefined) return;
      const held = object.metadata.finalizers ?? [];
      if (!held.includes(finalizer)) object.metadata.finalizers = [...held, finalizer];
    },
  };
}

/** A claim may grow only when its class says so. */
export function persistentVolumeClaimResize({ objects }: AdmissionOptions): AdmissionPlugin {
  const view = objects.view('storage.k8s.io/v1', 'storageclasses');
  return {
    name: 'PersistentVolumeClaimResize',
    handles: (operation, definition, subresource) =>
      operation === 'UPDATE' && subresource === '' && definition?.resource.plural === 'persistentvolumeclaims',
    async validate(attributes) {
      const claim = attributes.object as unknown as PersistentVolumeClaim;
      const old = attributes.oldObject as unknown as PersistentVolumeClaim;
      const size = claim.spec?.resources?.requests?.storage;
      const oldSize = old.spec?.resources?.requests?.storage;
      if (size === undefined || oldSize === undefined || compareQuantities(size, oldSize) <= 0) return;
      await view.ready;
      const name = claim.metadata.annotations?.[classAnnotation] ?? claim.spec?.storageClassName ?? '';
      const found = name === '' ? undefined : (view.get(undefined, name) as unknown as StorageClass | undefined);
      if (found?.allowVolumeExpansion !== true) {
        throw refuse(
          attributes,
          'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
        );
      }
    },
  };
}
