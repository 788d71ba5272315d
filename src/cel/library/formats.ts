import {
  maskTrailingDash,
  validateDns1035Label,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateLabelValue,
  validateQualifiedName,
} from '#machinery';
import { define, type Overload } from '../function.ts';
import { ArrayList, Opaque, Optional } from '../values.ts';

type Check = (text: string) => string[];

/** A named shape of strings. */
class Format extends Opaque {
  readonly typeName = 'kubernetes.NamedFormat';
  readonly name: string;
  readonly check: Check;

  constructor(name: string, check: Check) {
    super();
    this.name = name;
    this.check = check;
  }

  equals(other: Opaque): boolean {
    return other instanceof Format && other.name === this.name;
  }
}

const shaped =
  (pattern: RegExp, message: string): Check =>
  (text) =>
    pattern.test(text) ? [] : [message];
const prefix =
  (check: Check): Check =>
  (text) =>
    check(maskTrailingDash(text, true));

function uri(text: string): string[] {
  try {
    if (!/^\/|^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text)) return ['invalid URI for request'];
    void new URL(text, 'http://x');
    return [];
  } catch {
    return ['invalid URI for request'];
  }
}

function date(text: string): string[] {
  const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  const time = match === null ? Number.NaN : Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(time) || new Date(time).getUTCDate() !== Number(match?.[3]) ? ['invalid date'] : [];
}

const formats: readonly Format[] = [
  new Format('dns1123Label', validateDns1123Label),
  new Format('dns1123Subdomain', validateDns1123Subdomain),
  new Format('dns1035Label', validateDns1035Label),
  new Format('qualifiedName', validateQualifiedName),
  new Format('dns1123LabelPrefix', prefix(validateDns1123Label)),
  new Format('dns1123SubdomainPrefix', prefix(validateDns1123Subdomain)),
  new Format('dns1035LabelPrefix', prefix(validateDns1035Label)),
  new Format('labelValue', validateLabelValue),
  new Format('uri', uri),
  new Format(
    'uuid',
    shaped(/^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i, 'does not match the UUID format'),
  ),
  new Format('byte', shaped(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'invalid base64')),
  new Format('date', date),
  new Format('datetime', shaped(/^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/, 'invalid datetime')),
];

/** Named formats: `format.dns1123Label().validate(x)`. */
export function formatFunctions(): Overload[] {
  return [
    ...formats.map((one) =>
      define(`format.${one.name}`, `format-${one.name}`, '(): kubernetes.NamedFormat', () => one),
    ),
    define(
      'format.named',
      'format-named',
      '(string): optional<kubernetes.NamedFormat>',
      (_, name) => new Optional(formats.find((one) => one.name === name)),
    ),
    define(
      'validate',
      'format-validate',
      'kubernetes.NamedFormat.(string): optional<list<string>>',
      (_, format, text) => {
        const found = (format as Format).check(text as string);
        return found.length === 0 ? Optional.none : new Optional(new ArrayList(found));
      },
    ),
  ];
}
