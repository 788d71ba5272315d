/** One step of a simple JSONPath. */
type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly at: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'deep' }
  | { readonly kind: 'union'; readonly steps: readonly Step[] }
  | { readonly kind: 'slice'; readonly from: number | undefined; readonly to: number | undefined; readonly by: number }
  | {
      readonly kind: 'filter';
      readonly path: readonly Step[];
      readonly operator: '==' | '!=' | '>' | '<' | '>=' | '<=' | 'exists';
      readonly value: string | number | boolean;
    };

/**
 * Reads the JSONPath of printer columns and scale paths: `.spec.a['b.c'].list[0].x`, `[*]`, `[0:2]`, `[0,2]`, `..name`,
 * `[?(@.type=="Ready")]`, `[?(@.ready)]`. Undefined when it is of another form.
 */
export function parseJsonPath(text: string): readonly Step[] | undefined {
  const body = text
    .trim()
    .replace(/^\{(.*)\}$/, '$1')
    .replace(/^\$/, '');
  const steps: Step[] = [];
  let at = 0;
  while (at < body.length) {
    if (body[at] === '.') {
      if (body[at + 1] === '.' && at + 2 < body.length) {
        steps.push({ kind: 'deep' });
        at++;
      }
      const match = /^\.((?:[^.,[\]$@{}\s\\*]|\\.)+|\*)/.exec(body.slice(at));
      if (match === null) {
        if (at === body.length - 1) break;
        if (body[at + 1] === '[') {
          at++;
          continue;
        }
        return undefined;
      }
      const name = (match[1] as string).replace(/\\(.)/g, '$1');
      steps.push(match[1] === '*' ? { kind: 'all' } : { kind: 'field', name });
      at += match[0].length;
      continue;
    }
    const bracket = bracketStep(body.slice(at));
    if (bracket === undefined) return undefined;
    steps.push(bracket.step);
    at += bracket.length;
  }
  return steps;
}

function bracketStep(text: string): { readonly step: Step; readonly length: number } | undefined {
  let match = /^\[(-?\d+)\]/.exec(text);
  if (match !== null) return { step: { kind: 'index', at: Number(match[1]) }, length: match[0].length };
  match = /^\[\*\]/.exec(text);
  if (match !== null) return { step: { kind: 'all' }, length: match[0].length };
  match = /^\[(-?\d+)?:(-?\d+)?(?::(\d+))?\]/.exec(text);
  if (match !== null) {
    const [from, to, by = 1] = match.slice(1).map((one) => (one === undefined ? undefined : Number(one)));
    return { step: { kind: 'slice', from, to, by }, length: match[0].length };
  }
  match = /^\[(?:-?\d+|'[^']*')(?:,(?:-?\d+|'[^']*'))+\]/.exec(text);
  if (match !== null) {
    const parts = match[0].slice(1, -1).match(/-?\d+|'[^']*'/g) ?? [];
    const steps = parts.map(
      (one): Step =>
        one.startsWith("'") ? { kind: 'field', name: one.slice(1, -1) } : { kind: 'index', at: Number(one) },
    );
    return { step: { kind: 'union', steps }, length: match[0].length };
  }
  match = /^\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/.exec(text);
  if (match !== null)
    return {
      step: { kind: 'field', name: (match[1] ?? match[2] ?? '').replace(/\\(.)/g, '$1') },
      length: match[0].length,
    };
  match =
    /^\[\?\(\s*@((?:\.[A-Za-z0-9_-]+|\['[^']*'\])*)(?:\s*(==|!=|>=|<=|>|<)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|-?\d+(?:\.\d+)?|true|false))?\s*\)\]/.exec(
      text,
    );
  if (match === null) return undefined;
  const path = parseJsonPath(match[1] as string);
  if (path === undefined) return undefined;
  if (match[2] === undefined)
    return { step: { kind: 'filter', path, operator: 'exists', value: true }, length: match[0].length };
  const raw = match[3] as string;
  const value = /^["']/.test(raw)
    ? raw.slice(1, -1).replace(/\\(.)/g, '$1')
    : raw === 'true'
      ? true
      : raw === 'false'
        ? false
        : Number(raw);
  return { step: { kind: 'filter', path, operator: match[2] as '==', value }, length: match[0].length };
}

/** All values that the path leads to. */
export function valuesAt(object: unknown, path: readonly Step[]): unknown[] {
  let values: unknown[] = [object];
  for (const step of path) values = values.flatMap((value) => take(value, step));
  return values;
}

/** The first value, if any. */
export function valueAt(object: unknown, path: readonly Step[]): unknown {
  return valuesAt(object, path)[0];
}

function take(value: unknown, step: Step): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  switch (step.kind) {
    case 'field':
      return Object.hasOwn(value, step.name) ? [(value as Record<string, unknown>)[step.name]] : [];
    case 'index': {
      if (!Array.isArray(value)) return [];
      const one: unknown = value.at(step.at);
      return one === undefined ? [] : [one];
    }
    case 'all':
      return Array.isArray(value) ? value : Object.values(value);
    case 'union':
      return step.steps.flatMap((one) => take(value, one));
    case 'deep':
      return descendants(value);
    case 'slice':
      if (!Array.isArray(value) || step.by < 1) return [];
      return value.slice(step.from, step.to).filter((_, index) => index % step.by === 0);
    case 'filter':
      return (Array.isArray(value) ? value : Object.values(value)).filter((one: unknown) =>
        holds(valueAt(one, step.path), step),
      );
  }
}

/** The value and all objects and lists below it, each before what is in it. */
function descendants(value: object): object[] {
  const found: object[] = [];
  const open = [value];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    found.push(one);
    const below = Object.values(one).filter((it: unknown): it is object => typeof it === 'object' && it !== null);
    open.push(...below.reverse());
  }
  return found;
}

function holds(actual: unknown, { operator, value }: Extract<Step, { kind: 'filter' }>): boolean {
  if (actual === undefined) return false;
  switch (operator) {
    case 'exists':
      return true;
    case '==':
      return actual === value;
    case '!=':
      return actual !== value;
    default: {
      if (typeof actual !== typeof value || (typeof actual !== 'number' && typeof actual !== 'string')) return false;
      const left = actual as number;
      const right = value as number;
      return operator === '>'
        ? left > right
        : operator === '<'
          ? left < right
          : operator === '>='
            ? left >= right
            : left <= right;
    }
  }
}

/** Sets a value along a path of plain fields, making objects on the way. */
export function setAt(object: Record<string, unknown>, path: readonly Step[], value: unknown): void {
  let at = object;
  for (const [index, step] of path.entries()) {
    if (step.kind !== 'field' || step.name === '__proto__') return;
    if (index === path.length - 1) {
      at[step.name] = value;
      return;
    }
    const next = Object.hasOwn(at, step.name) ? at[step.name] : undefined;
    if (typeof next === 'object' && next !== null && !Array.isArray(next)) at = next as Record<string, unknown>;
    else {
      const made: Record<string, unknown> = {};
      at[step.name] = made;
      at = made;
    }
  }
}
