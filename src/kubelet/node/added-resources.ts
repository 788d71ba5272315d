type Amounts = Readonly<Record<string, string>>;

/**
 * What a node has besides its machine's own resources: others (people, device operators) put those into its capacity, under names with a
 * domain, and the kubelet lets all of it be allocated.
 */
export function addedResources(capacity: Amounts | undefined, own: Amounts): Record<string, string> {
  return Object.fromEntries(
    Object.entries(capacity ?? {}).filter(([name]) => name.includes('/') && !Object.hasOwn(own, name)),
  );
}

/** A merge patch from one set of amounts to another: those that are gone are null. */
export function amountsPatch(old: Amounts | undefined, next: Amounts): Record<string, string | null> {
  const gone = Object.keys(old ?? {}).filter((name) => !Object.hasOwn(next, name));
  return { ...next, ...Object.fromEntries(gone.map((name) => [name, null])) };
}
