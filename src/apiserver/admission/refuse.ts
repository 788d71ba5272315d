import { type ApiError, errForbidden } from '#machinery';
import type { AdmissionAttributes } from '../contract.ts';

/** The 403 of a plugin: `pods "web" is forbidden: <why>`. An object that has no name yet goes by its generateName. */
export function refuse(attributes: AdmissionAttributes, why: string): ApiError {
  const metadata = attributes.object?.metadata;
  const name = attributes.name || metadata?.name || metadata?.generateName || 'Unknown';
  return errForbidden({ group: attributes.group, plural: attributes.resource }, name, why);
}
