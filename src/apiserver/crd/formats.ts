import { isIPv4, isIPv6 } from 'node:net';
import { parseGoDuration } from '#machinery';

const uuid = (third: string, fourth: string): RegExp =>
  new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${third}-?${fourth}-?[0-9a-f]{12}$`, 'i');
const hex4 = '[0-9a-f]{4}';
const variant = '[89ab][0-9a-f]{3}';

function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (match === null) return false;
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return days !== undefined && day >= 1 && day <= days;
}

function isDateTime(text: string): boolean {
  const at = text.search(/t/i);
  if (at < 0 || !isDate(text.slice(0, at))) return false;
  const match = /^(\d{2}):(\d{2}):(\d{2})(?:.\d+)?(?:z|[+-]\d{2}:\d{2})$/i.exec(text.slice(at + 1));
  return match !== null && Number(match[1]) <= 23 && Number(match[2]) <= 59 && Number(match[3]) <= 59;
}

const scalaDuration =
  /\d+\s*(?:ns|nano[a-z]*|us|µs|micro[a-z]*|ms|milli[a-z]*|s|sec[a-z]*|m|min[a-z]*|h|hr|hour[a-z]*|d|day[a-z]*|w|wk|week[a-z]*)(?![a-zµ])/i;

function isDuration(text: string): boolean {
  if (scalaDuration.test(text)) return true;
  try {
    parseGoDuration(text);
    return text !== '';
  } catch {
    return false;
  }
}

const sloppy = (text: string): string =>
  /^[\d.]+$/.test(text) ? text.replace(/(^|\.)0+(?=\d)/g, '$1') : text.includes('%') ? '' : text;

function isCidr(text: string): boolean {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (match === null) return false;
  const [, address = '', bits] = match;
  return isIPv4(sloppy(address)) ? Number(bits) <= 32 : isIPv6(sloppy(address)) && Number(bits) <= 128;
}

const macs = [6, 8, 20].flatMap((octets) => [
  new RegExp(`^[0-9a-f]{2}(?::[0-9a-f]{2}){${octets - 1}}$`, 'i'),
  new RegExp(`^[0-9a-f]{2}(?:-[0-9a-f]{2}){${octets - 1}}$`, 'i'),
  new RegExp(`^[0-9a-f]{4}(?:\\.[0-9a-f]{4}){${octets / 2 - 1}}$`, 'i'),
]);

/** A request's URI: with a scheme, or a path from the root. */
function isUri(text: string): boolean {
  if (!/^(?:\/|[a-z][a-z0-9+.-]*:)/i.test(text) || /%(?![0-9a-f]{2})/i.test(text.split('?')[0] as string)) return false;
  for (const one of text) if (one < ' ' || one === '\u007f') return false;
  const authority = /^(?:[a-z][a-z0-9+.-]*:)?\/\/([^/?#]*)/i.exec(text)?.[1] ?? '';
  return !/[ <>"\\^`{|}]/.test(authority) && /^(?:.*@)?(?:\[[^\]]*\]|[^:]*)(?::\d*)?$/.test(authority);
}

function isHostname(text: string): boolean {
  const label = '[a-zA-Z0-9\\p{S}\\p{L}]';
  const inner = '[a-zA-Z0-9\\-\\p{S}\\p{L}]';
  const shape = new RegExp(
    `^(?:${label}(?:-?${label}{0,62})?|(?:${label}(?:${inner}{0,61}${label})?\\.)+[a-zA-Z\\p{L}]{2,63})$`,
    'u',
  );
  return text.length <= 255 && text.split('.').every((part) => part.length <= 63) && shape.test(text);
}

function isIsbn(text: string, length: 10 | 13): boolean {
  const digits = text.replace(/[\s-]+/g, '');
  if (!(length === 10 ? /^\d{9}[\dX]$/ : /^\d{13}$/).test(digits)) return false;
  let sum = 0;
  for (let at = 0; at < length; at++) {
    const digit = digits[at] === 'X' ? 10 : Number(digits[at]);
    sum += digit * (length === 10 ? at + 1 : at % 2 === 0 ? 1 : 3);
  }
  return sum % (length === 10 ? 11 : 10) === 0;
}

const cards =
  /^(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|(?:222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11}|6[27]\d{14})$/;

function isCreditCard(text: string): boolean {
  const digits = text.replace(/\D+/g, '');
  if (!cards.test(digits)) return false;
  let sum = 0;
  for (let at = digits.length - 1, twice = false; at >= 0; at--, twice = !twice) {
    const digit = Number(digits[at]) * (twice ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return sum % 10 === 0;
}

const matches =
  (pattern: RegExp) =>
  (text: string): boolean =>
    pattern.test(text);

/** Names are those of upstream without dashes: `date-time` is `datetime`. */
const formats: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ['bsonobjectid', matches(/^[0-9a-f]{24}$/i)],
  ['uri', isUri],
  ['email', matches(/^(?:[^<>@]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/)],
  ['hostname', isHostname],
  ['ipv4', (text: string) => isIPv4(sloppy(text)) || (text.includes('.') && isIPv6(sloppy(text)))],
  ['ipv6', (text: string) => isIPv6(sloppy(text))],
  ['cidr', isCidr],
  ['mac', (text: string) => macs.some((one) => one.test(text))],
  ['uuid', matches(uuid(hex4, hex4))],
  ['uuid3', matches(uuid('3[0-9a-f]{3}', hex4))],
  ['uuid4', matches(uuid('4[0-9a-f]{3}', variant))],
  ['uuid5', matches(uuid('5[0-9a-f]{3}', variant))],
  ['isbn', (text: string) => isIsbn(text, 10) || isIsbn(text, 13)],
  ['isbn10', (text: string) => isIsbn(text, 10)],
  ['isbn13', (text: string) => isIsbn(text, 13)],
  ['creditcard', isCreditCard],
  ['ssn', (text: string) => text.length === 11 && /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(text)],
  ['hexcolor', matches(/^#?(?:[0-9a-f]{3}|[0-9a-f]{6})$/i)],
  [
    'rgbcolor',
    matches(
      /^rgb\(\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*(?:,\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*){2}\)$/,
    ),
  ],
  ['byte', matches(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/)],
  ['password', () => true],
  ['date', isDate],
  ['duration', isDuration],
  ['datetime', isDateTime],
  ['k8sshortname', (text: string) => text.length <= 63 && /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/.test(text)],
  [
    'k8slongname',
    (text: string) =>
      text.length <= 253 && /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/.test(text),
  ],
]);

const testOf = (format: string): ((text: string) => boolean) | undefined => formats.get(format.replaceAll('-', ''));

/** Whether a text has a format that schemas of definitions know; of others nothing is said. */
export function hasFormat(text: string, format: string): boolean {
  return testOf(format)?.(text) ?? true;
}

/** Whether a format means something for values of a type. */
export function isKnownFormat(format: string, type: string): boolean {
  if (type === '' || type === 'string') return testOf(format) !== undefined;
  return type === 'integer'
    ? format === 'int32' || format === 'int64'
    : type === 'number' && (format === 'float' || format === 'double');
}
