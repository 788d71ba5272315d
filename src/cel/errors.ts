import { CodedError } from '#base';

/** What an evaluation ends with when it has no value: `no such key: a`, `division by zero`. `&&` and `||` may absorb it. */
export class CelError extends CodedError {
  constructor(message: string) {
    // A loop may meet one a turn: where it came from is not worth its price.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super('CelError', message);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The expression has used up what it may cost. Nothing absorbs it. */
export class CostExceeded extends CodedError {
  constructor() {
    super('CelCostExceeded', 'operation cancelled: actual cost limit exceeded');
  }
}

/** One finding of parser or checker; `offset` in UTF-16 units of the source. */
export interface Issue {
  readonly offset: number;
  readonly message: string;
}

/** An expression that does not compile. The message is every issue with its line and a pointer, as clients know it. */
export class CompileError extends CodedError {
  readonly issues: readonly Issue[];

  constructor(source: string, issues: readonly Issue[]) {
    super('CelCompileError', issues.map((one) => issueText(source, one)).join('\n'));
    this.issues = issues;
  }
}

const longestSnippet = 2000;

/** `ERROR: <input>:1:6: message`, the line and a pointer below it, as wide as the line's characters are. */
export function issueText(source: string, { offset, message }: Issue): string {
  const before = source.slice(0, offset);
  const line = before.split('\n').length;
  const lineStart = before.lastIndexOf('\n') + 1;
  const lineEnd = source.indexOf('\n', offset);
  const text = source.slice(lineStart, lineEnd < 0 ? source.length : lineEnd);
  const left = [...source.slice(lineStart, offset)];
  const head = `ERROR: <input>:${line}:${left.length + 1}: ${message}`;
  if (text.length > longestSnippet) return head;
  const isWide = (letter: string | undefined): boolean => (letter?.codePointAt(0) ?? 0) > 0x7f;
  const [at] = source.slice(offset, offset + 2);
  const pointer = `${left.map((letter) => (isWide(letter) ? '\uff0e' : '.')).join('')}${isWide(at) ? '\uff3e' : '^'}`;
  return `${head}\n | ${text.replaceAll('\t', ' ')}\n | ${pointer}`;
}
