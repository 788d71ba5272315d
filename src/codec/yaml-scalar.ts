import { DecodeError } from './errors.ts';

const words = new Map<string, boolean | null>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map((word) => [word, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map((word) => [word, false] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
]);

const integer = /^([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9]\d*)$/;
/** An int64 in binary, with sign and prefix. */
const longestInteger = 67;
const float = /^[+-]?(\.\d+|\d+(\.\d*)?)([eE][+-]?\d+)?$/;
const notJson = /^([+-]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$/;

/**
 * What an unquoted YAML scalar means to Go's YAML 1.1 parser, which upstream's clients and server use: `yes` and `on` are
 * true, `0777` is octal, `1_000` is a thousand; dates and base-60 numbers stay text. Integers beyond 2^53 are BigInt, beyond int64 doubles.
 */
export function plainScalar(text: string): string | number | bigint | boolean | null {
  const word = words.get(text);
  if (word !== undefined) return word;
  const first = text.charCodeAt(0);
  const numeric = (first >= 0x30 && first <= 0x39) || first === 0x2b || first === 0x2d || first === 0x2e;
  if (!numeric) return text;
  if (notJson.test(text)) throw new DecodeError('InvalidYaml', `json: unsupported value: ${text}`);
  const plain = first === 0x2e ? text : text.replaceAll('_', '');
  const match = plain.length > longestInteger ? null : integer.exec(plain);
  if (match !== null) {
    const digits = match[2] as string;
    const magnitude = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits}` : digits);
    const value = match[1] === '-' ? -magnitude : magnitude;
    if (value >= -(2n ** 63n) && value < 2n ** 63n) {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    }
  }
  if (float.test(plain)) {
    const value = Number(plain);
    if (Number.isFinite(value)) return value;
  }
  return text;
}

/** A scalar with an explicit tag of YAML's core. */
export function taggedScalar(tag: string, text: string): string | number | bigint | boolean | null {
  switch (tag) {
    case 'tag:yaml.org,2002:binary':
      return Buffer.from(text, 'base64').toString('utf8');
    case 'tag:yaml.org,2002:null':
      return null;
    case 'tag:yaml.org,2002:int':
    case 'tag:yaml.org,2002:float':
    case 'tag:yaml.org,2002:bool': {
      const value = plainScalar(text);
      const kind = tag.slice('tag:yaml.org,2002:'.length);
      const fits =
        kind === 'bool' ? typeof value === 'boolean' : typeof value === 'number' || typeof value === 'bigint';
      if (fits) return value;
      throw new DecodeError('InvalidYaml', `yaml: cannot decode !!str \`${text}\` as a !!${kind}`);
    }
    default:
      return text;
  }
}
