/** How findings are worded: `container "a"`, `containers "a", "b"`. */
export const quoteAll = (list: readonly string[]): string => list.map((one) => JSON.stringify(one)).join(', ');
export const plural = (one: string, many: string, count: number): string => (count === 1 ? one : many);
export const containersText = (names: readonly string[]): string =>
  `${plural('container', 'containers', names.length)} ${quoteAll(names)}`;
/** Each value once, sorted. */
export const distinct = (list: readonly string[]): string[] => [...new Set(list)].sort();
