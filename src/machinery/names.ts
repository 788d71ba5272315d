const regexError = (text: string, pattern: string, ...examples: string[]): string =>
  examples.length === 0
    ? `${text} (regex used for validation is '${pattern}')`
    : `${text} (e.g. ${examples.map((one) => `'${one}', `).join(' or ')}regex used for validation is '${pattern}')`;

const maxLengthError = (length: number): string => `must be no more than ${length} characters`;
const emptyError = 'must be non-empty';

const byteLength = (text: string): number => Buffer.byteLength(text);

interface Rule {
  readonly max: number;
  readonly pattern: RegExp;
  readonly message: string;
}

const check = ({ max, pattern, message }: Rule, value: string): string[] => {
  const found: string[] = [];
  if (value.length > max || (value.length * 3 > max && byteLength(value) > max)) found.push(maxLengthError(max));
  if (!pattern.test(value)) found.push(message);
  return found;
};

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValue = `(${qualified})?`;
const dns1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const configKey = '[-._a-zA-Z0-9]+';
const whole = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`);

const labelRule: Rule = {
  max: 63,
  pattern: /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/,
  message: regexError(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    label,
    'my-name',
    '123-abc',
  ),
};

const subdomainRule: Rule = {
  max: 253,
  pattern: whole(subdomain),
  message: regexError(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    subdomain,
    'example.com',
  ),
};

const underscored = `_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*`;
const underscoredRule: Rule = {
  max: 253,
  pattern: whole(underscored),
  message: regexError(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    underscored,
    'example.com',
  ),
};

const dns1035Rule: Rule = {
  max: 63,
  pattern: whole(dns1035),
  message: regexError(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
    dns1035,
    'my-name',
    'abc-123',
  ),
};

const wildcard = `\\*\\.${subdomain}`;
const wildcardRule: Rule = {
  max: 253,
  pattern: whole(wildcard),
  message: regexError(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    wildcard,
    '*.example.com',
  ),
};

const qualifiedMessage = regexError(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  qualified,
  'MyName',
  'my.name',
  '123-abc',
);

const labelValueRule: Rule = {
  max: 63,
  pattern: whole(labelValue),
  message: regexError(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    labelValue,
    'MyValue',
    'my_value',
    '12345',
  ),
};

/** Each returns upstream's messages, empty when the value is fine. Lengths are counted in bytes. */
export function validateDns1123Label(value: string): string[] {
  return check(labelRule, value);
}

export function validateDns1123Subdomain(value: string): string[] {
  return check(subdomainRule, value);
}

/** A subdomain in which underscores may stand: search domains. */
export function validateUnderscoredSubdomain(value: string): string[] {
  return check(underscoredRule, value);
}

export function validateDns1035Label(value: string): string[] {
  return check(dns1035Rule, value);
}

export function validateWildcardDns1123Subdomain(value: string): string[] {
  return check(wildcardRule, value);
}

const qualifiedPattern = /^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

/** A label or annotation key: `name` or `example.com/name`. */
export function validateQualifiedName(value: string): string[] {
  const parts = value.split('/');
  if (parts.length > 2) {
    return [
      `a qualified name ${qualifiedMessage} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const found: string[] = [];
  if (parts.length === 2) {
    const prefix = parts[0] as string;
    if (prefix === '') found.push(`prefix part ${emptyError}`);
    else for (const message of validateDns1123Subdomain(prefix)) found.push(`prefix part ${message}`);
  }
  const name = parts[parts.length - 1] as string;
  if (name === '') found.push(`name part ${emptyError}`);
  else if (byteLength(name) > 63) found.push(`name part ${maxLengthError(63)}`);
  if (!qualifiedPattern.test(name)) found.push(`name part ${qualifiedMessage}`);
  return found;
}

export function validateLabelValue(value: string): string[] {
  return check(labelValueRule, value);
}

/** A container port's name (IANA service name). */
export function validatePortName(value: string): string[] {
  const found: string[] = [];
  if (value.length > 15) found.push(maxLengthError(15));
  if (!/^[-a-z0-9]+$/.test(value)) found.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) found.push('must contain at least one letter (a-z)');
  if (value.includes('--')) found.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) found.push('must not begin or end with a hyphen');
  return found;
}

export function validatePortNumber(port: number): string[] {
  return Number.isInteger(port) && port >= 1 && port <= 65535 ? [] : ['must be between 1 and 65535, inclusive'];
}

/** Any printable ASCII but `=` (upstream since 1.34). */
export function validateEnvVarName(value: string): string[] {
  if (value === '') return [`environment variable name ${emptyError}`];
  return /^[\x20-\x3c\x3e-\x7e]+$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** A key of a ConfigMap's or Secret's data. */
export function validateConfigKey(value: string): string[] {
  const found = check(configKeyRule, value);
  if (value === '.') found.push("must not be '.'");
  else if (value === '..') found.push("must not be '..'");
  else if (value.startsWith('..')) found.push("must not start with '..'");
  return found;
}

const configKeyRule: Rule = {
  max: 253,
  pattern: whole(configKey),
  message: regexError(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    configKey,
    'key.name',
    'KEY_NAME',
    'key-name',
  ),
};

/** The loosest rule for names: whatever is one segment of a URL path (RBAC roles and the like). */
export function validatePathSegmentName(value: string): string[] {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  return ['/', '%'].filter((one) => value.includes(one)).map((one) => `may not contain '${one}'`);
}

const cIdentifier = '[A-Za-z_][A-Za-z0-9_]*';

export function validateCIdentifier(value: string): string[] {
  return whole(cIdentifier).test(value)
    ? []
    : [
        regexError(
          "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
          cIdentifier,
          'my_name',
          'MY_NAME',
          'MyName',
        ),
      ];
}

/** With `prefix` a trailing dash is fine: what follows makes it a name (generateName). */
export function maskTrailingDash(name: string, prefix: boolean): string {
  return prefix && name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name;
}
