/**
 * Sets of field paths, kept in the form in which managedFields carries them (FieldsV1): a tree whose labels are `f:name`,
 * `k:{"key":"value"}`, `v:value`. A node without children is a member; one with children is a member when it has `.`.
 * Nodes are never changed once made and may be shared or frozen. No set at all is `undefined`.
 */
export interface FieldSet {
  readonly [label: string]: FieldSet;
}

type Draft = Record<string, FieldSet>;

export const member: FieldSet = Object.freeze({});

export function isMember(node: FieldSet): boolean {
  for (const label in node) return Object.hasOwn(node, '.') && label !== undefined;
  return true;
}

/** A node from its parts; undefined when it is neither a member nor holds one. */
export function fieldNode(isOwnMember: boolean, children: FieldSet | undefined): FieldSet | undefined {
  if (children === undefined) return isOwnMember ? member : undefined;
  if (!isOwnMember || Object.hasOwn(children, '.')) return children;
  return { '.': member, ...children };
}

const isLeaf = (node: FieldSet): boolean => {
  for (const label in node) return label === undefined;
  return true;
};

/** Members of either; one of the two itself when it has them all. */
export function unite(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || a === b) return b;
  if (b === undefined) return a;
  if (isLeaf(a)) return isMember(b) ? b : fieldNode(true, b);
  if (isLeaf(b)) return isMember(a) ? a : fieldNode(true, a);
  let result: Draft | undefined;
  for (const label in b) {
    const left = a[label];
    const made = left === undefined ? (b[label] as FieldSet) : (unite(left, b[label]) as FieldSet);
    if (made !== left) (result ??= { ...a })[label] = made;
  }
  return result ?? a;
}

/** Members of `a` that are not members of `b`. */
export function subtract(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || b === undefined) return a;
  return subtractNode(a, b, false);
}

function subtractNode(a: FieldSet, b: FieldSet, counted: boolean): FieldSet | undefined {
  let result: Draft | undefined;
  let same = true;
  const wasMember = counted && isMember(a);
  const stays = wasMember && !isMember(b);
  if (wasMember !== stays) same = false;
  for (const label in a) {
    if (label === '.') continue;
    const left = a[label] as FieldSet;
    const right = b[label];
    const made = right === undefined ? left : subtractNode(left, right, true);
    if (made !== left) same = false;
    if (made !== undefined) (result ??= {})[label] = made;
  }
  if (same) return a;
  return fieldNode(stays, result);
}

/** Members of both. */
export function intersect(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || b === undefined) return undefined;
  return intersectNode(a, b, false);
}

function intersectNode(a: FieldSet, b: FieldSet, counted: boolean): FieldSet | undefined {
  let result: Draft | undefined;
  for (const label in a) {
    if (label === '.') continue;
    const right = b[label];
    if (right === undefined) continue;
    const made = intersectNode(a[label] as FieldSet, right, true);
    if (made !== undefined) (result ??= {})[label] = made;
  }
  return fieldNode(counted && isMember(a) && isMember(b), result);
}

/** Same members. */
export function sameSet(a: FieldSet | undefined, b: FieldSet | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  let count = 0;
  for (const label in b) if (label !== undefined) count++;
  for (const label in a) {
    const right = b[label];
    if (right === undefined || !sameSet(a[label], right)) return false;
    count--;
  }
  return count === 0;
}

/** Paths of all members as upstream prints them: `.spec.containers[name="c"].image`. */
export function memberPaths(set: FieldSet | undefined): string[] {
  const paths: string[] = [];
  const walk = (node: FieldSet, path: string): void => {
    if (path !== '' && isMember(node)) paths.push(path);
    for (const label in node) if (label !== '.') walk(node[label] as FieldSet, path + stepText(label));
  };
  if (set !== undefined) walk(set, '');
  return paths.sort();
}

/** One step of a path as upstream prints it: `.name`, `[key="value"]`, `[="value"]`. */
export function stepText(label: string): string {
  const body = label.slice(2);
  if (label.startsWith('f:')) return `.${body}`;
  if (label.startsWith('v:')) return `[=${body}]`;
  if (label.startsWith('i:')) return `[${body}]`;
  try {
    const keys = Object.entries(JSON.parse(body) as Record<string, unknown>);
    return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
  } catch {
    return `[${body}]`;
  }
}
