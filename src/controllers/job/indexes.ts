/** Sets of completion indexes as the API writes them: `1,3-5,7`. */
export function parseIndexes(text: string | undefined, below: number): Set<number> {
  const found = new Set<number>();
  for (const part of text ? text.split(',') : []) {
    const [first = '', last = first] = part.split('-');
    if (!/^\d+$/.test(first) || !/^\d+$/.test(last)) continue;
    for (let index = Number(first); index <= Number(last) && index < below; index++) found.add(index);
  }
  return found;
}

/** Runs of two stay apart as `1,2`; longer ones become `1-3`. */
export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...indexes].toSorted((a, b) => a - b);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    const first = sorted[at] as number;
    let last = first;
    for (at++; at < sorted.length && sorted[at] === last + 1; at++) last++;
    parts.push(first === last ? `${first}` : last === first + 1 ? `${first},${last}` : `${first}-${last}`);
  }
  return parts.join(',');
}
