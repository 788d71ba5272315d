import { errBadRequest } from './errors.ts';

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** Splits at commas that no backslash precedes; the backslashes stay. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  let escaped = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (escaped) escaped = false;
    else if (character === '\\') escaped = true;
    else if (character === ',') {
      terms.push(text.slice(start, at));
      start = at + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function unescape(text: string): string {
  let result = '';
  let escaped = false;
  for (const character of text) {
    if (escaped) {
      if (character !== '\\' && character !== ',' && character !== '=') {
        throw errBadRequest(`invalid field selector: invalid escape sequence: \\${character}`);
      }
      result += character;
      escaped = false;
    } else if (character === '\\') escaped = true;
    else if (character === ',' || character === '=') {
      throw errBadRequest(`invalid field selector: unescaped character in value: ${character.codePointAt(0)}`);
    } else result += character;
  }
  if (escaped) throw errBadRequest('invalid field selector: invalid escape sequence: \\');
  return result;
}

/** A value as parseFieldSelector reads it back. */
export function escapeFieldValue(value: string): string {
  return value.replace(/[\\,=]/g, '\\$&');
}

/** Each is asked of every object of a list. */
const mostRequirements = 1000;

/** Reads `metadata.name=x,status.phase!=Running`. Throws ApiError 400; which fields are allowed is the kind's to say. */
export function parseFieldSelector(text: string): FieldRequirement[] {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text)) {
    if (term === '') continue;
    if (requirements.length === mostRequirements)
      throw errBadRequest(`invalid selector: more than ${mostRequirements} requirements in one selector`);
    const match = /!=|==?/.exec(term);
    if (match === null) throw errBadRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    requirements.push({
      field: term.slice(0, match.index),
      operator: match[0] === '!=' ? '!=' : '=',
      value: unescape(term.slice(match.index + match[0].length)),
    });
  }
  return requirements;
}
