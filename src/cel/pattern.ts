import { RE2JS } from 're2js';
import { CelError } from './errors.ts';
import type { Meter } from './values.ts';

/** A user's regular expression: linear in the text, whatever it is. */
export interface Matcher {
  test(text: string): boolean;
  /** Up to `most` matches, each at a price: there may be one a character. */
  find(text: string, most: number, meter: Meter): string[];
}

const compiled = new Map<string, Matcher>();
const mostCompiled = 1000;
const longestPattern = 10_000;
const perMatch = 2;

/** Compiled once each, up to a number of them. Throws CelError for a pattern that is none. */
export function matcherOf(pattern: string): Matcher {
  let matcher = compiled.get(pattern);
  if (matcher === undefined) {
    matcher = compile(pattern);
    if (compiled.size >= mostCompiled) compiled.clear();
    compiled.set(pattern, matcher);
  }
  return matcher;
}

function compile(pattern: string): Matcher {
  if (pattern.length > longestPattern) throw new CelError('error parsing regexp: expression is too long');
  let expression: RE2JS;
  try {
    expression = RE2JS.compile(pattern);
  } catch (error) {
    throw new CelError((error as Error).message);
  }
  return {
    // Without groups the engine takes its fastest way.
    test: (text) => expression.test(text),
    find(text, most, meter) {
      const found: string[] = [];
      const matcher = expression.matcher(text);
      while (found.length < most && matcher.find()) {
        meter.charge(perMatch);
        found.push(matcher.group() as string);
      }
      return found;
    },
  };
}
