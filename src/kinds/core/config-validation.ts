import type { ConfigMap, Secret } from '#api';
import { type FieldError, validateConfigKey } from '#machinery';
import { Findings, sameValue } from '../findings.ts';

const maxBytes = 1024 * 1024;
const whenImmutable = 'field is immutable when `immutable` is set';

/** Bytes that a base64 text stands for. */
function decodedLength(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return Math.max(0, Math.floor((text.length * 3) / 4) - padding);
}

export function validateConfigMap(map: ConfigMap): FieldError[] {
  const found = new Findings();
  let size = 0;
  for (const [key, value] of Object.entries(map.data ?? {})) {
    found.each(`data[${key}]`, key, validateConfigKey(key));
    if (map.binaryData !== undefined && Object.hasOwn(map.binaryData, key))
      found.invalid(`data[${key}]`, key, `duplicate of key present in binaryData`);
    size += Buffer.byteLength(value);
  }
  for (const [key, value] of Object.entries(map.binaryData ?? {})) {
    found.each(`binaryData[${key}]`, key, validateConfigKey(key));
    size += decodedLength(value);
  }
  if (size > maxBytes) found.tooLong('[]', '', maxBytes);
  return found.list;
}

export function validateConfigMapUpdate(map: ConfigMap, old: ConfigMap): FieldError[] {
  const found = new Findings();
  if (old.immutable !== true) return found.list;
  if (map.immutable !== true) found.forbidden('immutable', whenImmutable);
  if (!sameValue(map.data, old.data)) found.forbidden('data', whenImmutable);
  if (!sameValue(map.binaryData, old.binaryData)) found.forbidden('binaryData', whenImmutable);
  return found.list;
}

/** Entries that a type of Secret cannot do without. */
const requiredEntries: ReadonlyMap<string, readonly string[]> = new Map([
  ['kubernetes.io/dockercfg', ['.dockercfg']],
  ['kubernetes.io/dockerconfigjson', ['.dockerconfigjson']],
  ['kubernetes.io/ssh-auth', ['ssh-privatekey']],
  ['kubernetes.io/tls', ['tls.crt', 'tls.key']],
]);

const accountAnnotation = 'kubernetes.io/service-account.name';
const redacted = '<secret contents redacted>';

export function validateSecret(secret: Secret): FieldError[] {
  const found = new Findings();
  const data = secret.data ?? {};
  let size = 0;
  for (const [key, value] of Object.entries(data)) {
    found.each(`data[${key}]`, key, validateConfigKey(key));
    size += decodedLength(value);
  }
  if (size > maxBytes) found.tooLong('data', '', maxBytes);
  const type = secret.type ?? '';
  if (type === 'kubernetes.io/service-account-token' && !secret.metadata.annotations?.[accountAnnotation])
    found.required(`metadata.annotations[${accountAnnotation}]`);
  if (type === 'kubernetes.io/basic-auth' && !Object.hasOwn(data, 'username') && !Object.hasOwn(data, 'password')) {
    found.required('data[username]');
    found.required('data[password]');
  }
  for (const key of requiredEntries.get(type) ?? [])
    if (key === 'ssh-privatekey' ? !data[key] : !Object.hasOwn(data, key)) found.required(`data[${key}]`);
    else if (key.startsWith('.docker')) validateJsonEntry(data[key] ?? '', `data[${key}]`, found);
  return found.list;
}

function validateJsonEntry(value: string, field: string, found: Findings): void {
  try {
    JSON.parse(Buffer.from(value, 'base64').toString());
  } catch {
    found.invalid(field, redacted, jsonProblem(Buffer.from(value, 'base64').toString()));
  }
}

/** What upstream's parser says of the beginning of a text that is no JSON. */
function jsonProblem(text: string): string {
  const first = text.trimStart().charAt(0);
  if (first === '') return 'unexpected end of JSON input';
  return '{["-0123456789tfn'.includes(first)
    ? 'must be valid JSON'
    : `invalid character '${first}' looking for beginning of value`;
}

export function validateSecretUpdate(secret: Secret, old: Secret): FieldError[] {
  const found = new Findings();
  found.immutable('type', secret.type, old.type);
  if (old.immutable !== true) return found.list;
  if (secret.immutable !== true) found.forbidden('immutable', whenImmutable);
  if (!sameValue(secret.data, old.data)) found.forbidden('data', whenImmutable);
  return found.list;
}
