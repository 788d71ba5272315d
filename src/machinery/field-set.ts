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

/** `a` without the members of `b` and all that is below them. */
export function withoutBelow(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || b === undefined) return a;
  let result: Draft | undefined;
  let same = true;
  for (const label in a) {
    const left = a[label] as FieldSet;
    const right = b[label];
    const made = right === undefined ? left : isMember(right) ? undefined : withoutBelow(left, right);
    if (made !== left) same = false;
    if (made !== undefined) (result ??= {})[label] = made;
  }
  return same ? a : result;
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

/** Paths of all members as upstream prints and orders them: those right below a node, then what is below each of these. */
export function memberPaths(set: FieldSet | undefined): string[] {
  const paths: string[] = [];
  const walk = (node: FieldSet, path: string): void => {
    const steps: { label: string; path: string }[] = [];
    for (const label in node) if (label !== '.') steps.push({ label, path: path + stepText(label) });
    steps.sort((a, b) => compareLabels(a.label, b.label));
    for (const step of steps) if (isMember(node[step.label] as FieldSet)) paths.push(step.path);
    for (const step of steps) walk(node[step.label] as FieldSet, step.path);
  };
  if (set !== undefined) walk(set, '');
  return paths;
}

const labelOrder = 'fkvi';

/** Fields, keys, values, positions; the same by what they name. */
function compareLabels(a: string, b: string): number {
  if (a[0] !== b[0]) return labelOrder.indexOf(a[0] as string) - labelOrder.indexOf(b[0] as string);
  if (a[0] === 'f') return compareTexts(a, b);
  if (a[0] === 'i') return Number(a.slice(2)) - Number(b.slice(2));
  try {
    const [left, right] = [JSON.parse(a.slice(2)), JSON.parse(b.slice(2))] as unknown[];
    return a[0] === 'v' ? compareScalars(left, right) : compareKeys(left as object, right as object);
  } catch {
    return compareTexts(a, b);
  }
}

function compareKeys(a: object, b: object): number {
  const right = Object.entries(b);
  for (const [at, [name, value]] of Object.entries(a).entries()) {
    const other = right[at];
    if (other === undefined) return 1;
    const order = compareTexts(name, other[0]) || compareScalars(value, other[1]);
    if (order !== 0) return order;
  }
  return 0;
}

/** Numbers before texts before booleans. */
function compareScalars(a: unknown, b: unknown): number {
  const rank = (value: unknown): number => ['number', 'string', 'boolean'].indexOf(typeof value);
  if (typeof a !== typeof b) return rank(a) - rank(b);
  if (typeof a === 'string') return compareTexts(a, b as string);
  return Number(a) - Number(b);
}

/** By code points, as bytes of UTF-8 compare. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.codePointAt(at) as number;
    const right = b.codePointAt(at) as number;
    if (left !== right) return left - right;
  }
  return a.length - b.length;
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
