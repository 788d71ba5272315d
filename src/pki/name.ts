import { DerReader, type DerElement, directoryText, oid, oidText, sequence, set, tag, utf8String } from './der.ts';

/** A distinguished name as Kubernetes reads it: CN is the user, every O a group. */
export interface DistinguishedName {
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** Every attribute, `[dotted type, value]`, in order. */
  readonly attributes: readonly (readonly [type: string, value: string])[];
  /** The name's DER, what issuers and subjects are compared by. */
  readonly raw: Uint8Array;
}

const commonNameOid = '2.5.4.3';
const organizationOid = '2.5.4.10';

/**
 * Decodes a name from its DER, never through a text form, so that no character of a value can pass for a separator.
 * All attributes of multi-valued sets count; the last CN wins, as in Go.
 */
export function parseName(element: DerElement): DistinguishedName {
  const attributes: (readonly [string, string])[] = [];
  const names = new DerReader(element.content);
  while (!names.atEnd) {
    const relative = names.enter(tag.set);
    while (!relative.atEnd) {
      const attribute = relative.enter(tag.sequence);
      const type = oidText(attribute.read(tag.oid).content);
      const value = attribute.read();
      attribute.end();
      attributes.push([type, directoryText(value)]);
    }
  }
  const valuesOf = (type: string): string[] => attributes.filter((one) => one[0] === type).map((one) => one[1]);
  return {
    commonName: valuesOf(commonNameOid).at(-1) ?? '',
    organizations: valuesOf(organizationOid),
    attributes,
    raw: element.raw,
  };
}

/** O first (all in one set, sorted, as Go writes them), then CN. */
export function encodeName(commonName: string, organizations: readonly string[] = []): Uint8Array {
  const attribute = (type: string, value: string): Uint8Array => sequence(oid(type), utf8String(value));
  const parts: Uint8Array[] = [];
  if (organizations.length > 0) {
    const encoded = organizations.map((one) => attribute(organizationOid, one));
    parts.push(set(...encoded.sort(Buffer.compare)));
  }
  if (commonName !== '') parts.push(set(attribute(commonNameOid, commonName)));
  return sequence(...parts);
}
