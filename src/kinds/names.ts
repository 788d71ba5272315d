import { maskTrailingDash, validateDns1035Label, validateDns1123Label, validatePathSegmentName } from '#machinery';

type NameRule = (name: string, prefix: boolean) => string[];

/** Rules for metadata.name other than the usual DNS subdomain. With `prefix` a trailing dash may stay (generateName). */
export const labelName: NameRule = (name, prefix) => validateDns1123Label(maskTrailingDash(name, prefix));
export const serviceName: NameRule = (name, prefix) => validateDns1035Label(maskTrailingDash(name, prefix));
export const pathSegmentName: NameRule = (name) => validatePathSegmentName(name);
