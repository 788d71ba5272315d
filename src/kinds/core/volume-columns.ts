const shortModes: ReadonlyMap<string, string> = new Map([
  ['ReadWriteOnce', 'RWO'],
  ['ReadOnlyMany', 'ROX'],
  ['ReadWriteMany', 'RWX'],
  ['ReadWriteOncePod', 'RWOP'],
]);

/** `RWO,ROX`, each once, in upstream's order. */
export function accessModesText(modes: readonly string[] | undefined): string {
  return [...shortModes.entries()]
    .filter(([mode]) => modes?.includes(mode))
    .map(([, short]) => short)
    .join(',');
}

/** Storage class of a volume or claim: the old annotation wins over the field. */
export function storageClassName(object: {
  metadata: { annotations?: Record<string, string> };
  spec?: { storageClassName?: string };
}): string | undefined {
  const annotations = object.metadata.annotations ?? {};
  if (Object.hasOwn(annotations, betaStorageClass)) return annotations[betaStorageClass];
  return object.spec?.storageClassName;
}

const betaStorageClass = 'volume.beta.kubernetes.io/storage-class';
