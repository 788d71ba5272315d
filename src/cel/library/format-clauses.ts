/** The clauses of a format text: `%s`, `%.3f`. `%%` is none. */
export interface Clause {
  /** Where it is in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** '' at the end of the text; '%' for a percent sign. */
  readonly verb: string;
  readonly precision: number | undefined;
}

const clauseAt = /%(?:%|(?:\.(\d{1,10}))?([\s\S]?))/gu;

export function* clausesOf(text: string): Generator<Clause> {
  for (const found of text.matchAll(clauseAt)) {
    const [whole, digits, verb = ''] = found;
    yield {
      start: found.index,
      end: found.index + whole.length,
      verb: whole === '%%' ? '%' : verb,
      precision: digits === undefined ? undefined : Number(digits),
    };
  }
}

const numbers = ['int', 'uint', 'double'];
const hex = 'only ints, uints, bytes, and strings can be formatted as hex';

/** What a clause takes, by the names of types; '*' is everything that has a text. */
const clauses: ReadonlyMap<string, { readonly takes: readonly string[]; readonly otherwise: string }> = new Map([
  [
    's',
    {
      takes: ['*'],
      otherwise:
        'string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
    },
  ],
  ['d', { takes: numbers, otherwise: 'decimal clause can only be used on ints, uints, and doubles' }],
  ['f', { takes: numbers, otherwise: 'fixed-point clause can only be used on ints, uints, and doubles' }],
  ['e', { takes: numbers, otherwise: 'scientific clause can only be used on ints, uints, and doubles' }],
  ['b', { takes: ['int', 'uint', 'bool'], otherwise: 'only ints, uints, and bools can be formatted as binary' }],
  ['o', { takes: ['int', 'uint'], otherwise: 'octal clause can only be used on ints and uints' }],
  ['x', { takes: ['int', 'uint', 'bytes', 'string'], otherwise: hex }],
  ['X', { takes: ['int', 'uint', 'bytes', 'string'], otherwise: hex }],
]);

/** Why a clause is none; undefined when it is one. */
export function clauseError({ verb }: Clause): string | undefined {
  if (verb === '') return 'could not parse formatting clause: unexpected end of string';
  return clauses.has(verb) ? undefined : `could not parse formatting clause: unrecognized formatting clause "${verb}"`;
}

/** Why a value of a type cannot stand for a clause; undefined when it can. */
export function clauseTypeError({ verb }: Clause, typeName: string): string | undefined {
  const clause = clauses.get(verb);
  if (clause === undefined || clause.takes.includes('*') || clause.takes.includes(typeName)) return undefined;
  return notFormatted(verb, typeName);
}

export function notFormatted(verb: string, typeName: string): string {
  return `error during formatting: ${clauses.get(verb)?.otherwise ?? verb}, was given ${typeName}`;
}
