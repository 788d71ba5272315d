import { errBadRequest } from './errors.ts';
import { fieldErrorText, invalidError } from './field-error.ts';
import {
  aggregateText,
  everything,
  type LabelOperator,
  type LabelRequirement,
  LabelSelector,
  requirementErrors,
  sortedSet,
} from './labels.ts';
import { validateQualifiedName } from './names.ts';

type Token = 'identifier' | 'end' | 'error' | ',' | '(' | ')' | '!' | '=' | '==' | '!=' | '>' | '<' | 'in' | 'notin';

interface Item {
  readonly token: Token;
  readonly text: string;
}

const symbols = new Set<string>([',', '(', ')', '!', '=', '==', '!=', '>', '<']);
const specialAt = /[=!(),><]/;
const blankAt = /[ \t\r\n]/;

function* scan(text: string): Generator<Item> {
  let at = 0;
  while (at < text.length) {
    const character = text[at] as string;
    if (blankAt.test(character)) {
      at++;
    } else if (specialAt.test(character)) {
      const pair = text.slice(at, at + 2);
      const symbol = symbols.has(pair) ? pair : character;
      at += symbol.length;
      yield { token: symbol as Token, text: symbol };
    } else {
      const start = at;
      while (at < text.length && !specialAt.test(text[at] as string) && !blankAt.test(text[at] as string)) at++;
      const word = text.slice(start, at);
      yield { token: word === 'in' || word === 'notin' ? word : 'identifier', text: word };
    }
  }
  yield { token: 'end', text: '' };
}

const operators = new Map<Token, LabelOperator>([
  ['in', 'in'],
  ['notin', 'notin'],
  ['=', '='],
  ['==', '=='],
  ['!=', '!='],
  ['>', 'gt'],
  ['<', 'lt'],
]);

/** Each is asked of every object of a list: upstream has no limit, but it is no single thread either. */
const mostRequirements = 1000;

class SyntaxProblem extends Error {}

class Parser {
  readonly #items: readonly Item[];
  #position = 0;

  constructor(text: string) {
    this.#items = [...scan(text)];
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const first = this.#peek();
      if (first.token === 'end') return requirements;
      if (first.token !== 'identifier' && first.token !== '!') {
        throw new SyntaxProblem(`found '${first.text}', expected: !, identifier, or 'end of string'`);
      }
      if (requirements.length === mostRequirements)
        throw new SyntaxProblem(`more than ${mostRequirements} requirements in one selector`);
      try {
        requirements.push(this.#requirement());
      } catch (error) {
        if (error instanceof SyntaxProblem) error.message = `unable to parse requirement: ${error.message}`;
        throw error;
      }
      const after = this.#take();
      if (after.token === 'end') return requirements;
      if (after.token !== ',') throw new SyntaxProblem(`found '${after.text}', expected: ',' or 'end of string'`);
      const next = this.#peek();
      if (next.token !== 'identifier' && next.token !== '!') {
        throw new SyntaxProblem(`found '${next.text}', expected: identifier after ','`);
      }
    }
  }

  #requirement(): LabelRequirement {
    let item = this.#take();
    const negated = item.token === '!';
    if (negated) item = this.#take();
    if (item.token !== 'identifier') throw new SyntaxProblem(`found '${item.text}', expected: identifier`);
    const key = item.text;
    const messages = validateQualifiedName(key);
    if (messages.length > 0) throw new SyntaxProblem(fieldErrorText(invalidError('<nil>', key, messages.join('; '))));

    const next = this.#peek().token;
    if (negated || next === 'end' || next === ',') return made({ key, operator: negated ? '!' : 'exists', values: [] });
    const sign = this.#items[this.#position] as Item;
    this.#position++;
    const operator = operators.get(sign.token);
    if (operator === undefined) {
      throw new SyntaxProblem(`found '${sign.text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
    const values = operator === 'in' || operator === 'notin' ? this.#list() : [this.#value()];
    return made({ key, operator, values: sortedSet(values) });
  }

  #value(): string {
    const next = this.#peek();
    if (next.token === 'end' || next.token === ',') return '';
    this.#position++;
    if (next.token === 'identifier') return next.text;
    throw new SyntaxProblem(`found '${next.text}', expected: identifier`);
  }

  #list(): string[] {
    const open = this.#take();
    if (open.token !== '(') throw new SyntaxProblem(`found '${open.text}' expected: '('`);
    const first = this.#peek();
    // As upstream: nothing between the brackets is one empty value.
    if (first.token === ')') {
      this.#position++;
      return [''];
    }
    if (first.token !== 'identifier' && first.token !== ',') {
      throw new SyntaxProblem(`found '${first.text}', expected: ',', ')' or identifier`);
    }
    const values: string[] = [];
    for (let wanted = true; ; ) {
      const item = this.#take();
      if (item.token === 'identifier' && wanted) {
        values.push(item.text);
        wanted = false;
        const next = this.#peek();
        if (next.token !== ',' && next.token !== ')') {
          throw new SyntaxProblem(`found '${next.text}', expected: ',' or ')'`);
        }
      } else if (item.token === ',') {
        if (wanted) values.push('');
        wanted = true;
      } else if (item.token === ')') {
        if (wanted) values.push('');
        return values;
      } else throw new SyntaxProblem(`found '${item.text}', expected: ',', or identifier`);
    }
  }

  /** `in` and `notin` are plain words wherever no operator is due. */
  #peek(): Item {
    const item = this.#items[Math.min(this.#position, this.#items.length - 1)] as Item;
    return item.token === 'in' || item.token === 'notin' ? { token: 'identifier', text: item.text } : item;
  }

  #take(): Item {
    const item = this.#peek();
    this.#position++;
    return item;
  }
}

function made(requirement: LabelRequirement): LabelRequirement {
  const errors = requirementErrors(requirement);
  if (errors.length > 0) throw new SyntaxProblem(aggregateText(errors));
  return requirement;
}

/** Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Throws ApiError 400 in upstream's words. */
export function parseLabelSelector(text: string): LabelSelector {
  if (text === '') return everything;
  try {
    const requirements = new Parser(text).parse();
    return requirements.length === 0 ? everything : new LabelSelector(requirements);
  } catch (error) {
    if (error instanceof SyntaxProblem) throw errBadRequest(error.message);
    throw error;
  }
}
