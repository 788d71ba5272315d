export type Encoding = 'json' | 'yaml' | 'protobuf';

export const mediaTypes: Readonly<Record<Encoding, string>> = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
};

export interface Negotiated {
  readonly encoding: Encoding;
  /** The response is to be turned into this kind of meta.k8s.io. */
  readonly as?: {
    readonly kind: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
    readonly version: 'v1' | 'v1beta1';
  };
  /** The client asked for frames: `;stream=watch`. */
  readonly stream?: boolean;
  /** `;pretty=1`. */
  readonly pretty?: boolean;
}

export interface Offered {
  /** In the server's order of preference; default json, yaml, protobuf. */
  readonly encodings?: readonly Encoding[];
  /** Of an answer that is turned into metadata alone; default `encodings`. */
  readonly metadataEncodings?: readonly Encoding[];
  /** Kinds that this endpoint can turn its answer into; default none. */
  readonly transforms?: readonly NonNullable<Negotiated['as']>['kind'][];
}

interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

const defaultEncodings: readonly Encoding[] = ['json', 'yaml', 'protobuf'];
const longestHeader = 4096;
const accepted = new Map<string, readonly MediaRange[]>();

/**
 * Chooses the answer's form from an Accept header, as upstream: ranges in order of quality, then of specificity, then as
 * written; the first that the endpoint can serve wins. No header, or an empty one, means the first encoding offered.
 * Undefined when nothing fits: the caller answers 406 with `notAcceptableTypes`.
 */
export function negotiate(accept: string | undefined, offered: Offered = {}): Negotiated | undefined {
  const { encodings = defaultEncodings } = offered;
  if (accept === undefined || accept.trim() === '')
    return encodings[0] === undefined ? undefined : { encoding: encodings[0] };
  for (const range of rangesOf(accept)) {
    const chosen = serve(range, encodings, offered);
    if (chosen !== undefined) return chosen;
  }
  return undefined;
}

/** The media types of an endpoint, for upstream's 406 and 415 texts. */
export function notAcceptableTypes(encodings: readonly Encoding[] = defaultEncodings): string[] {
  return encodings.map((one) => mediaTypes[one]);
}

function serve(
  range: MediaRange,
  plain: readonly Encoding[],
  { transforms = [], metadataEncodings = plain }: Offered,
): Negotiated | undefined {
  const kind = range.parameters.get('as');
  const encodings = kind?.startsWith('PartialObjectMetadata') === true ? metadataEncodings : plain;
  const encoding = encodings.find((one) => matches(range, mediaTypes[one]));
  if (encoding === undefined || range.quality === 0) return undefined;
  const extras = {
    ...(range.parameters.get('stream') === 'watch' ? { stream: true } : {}),
    ...(isTrue(range.parameters.get('pretty')) ? { pretty: true } : {}),
  };
  if (kind === undefined) return { encoding, ...extras };
  const version = range.parameters.get('v');
  if (range.parameters.get('g') !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) return undefined;
  if (!(transforms as readonly string[]).includes(kind)) return undefined;
  return { encoding, as: { kind: kind as NonNullable<Negotiated['as']>['kind'], version }, ...extras };
}

function isTrue(value: string | undefined): boolean {
  return value === '1' || value === 'true';
}

function matches(range: MediaRange, mediaType: string): boolean {
  const [type, subtype] = mediaType.split('/');
  return (range.type === '*' || range.type === type) && (range.subtype === '*' || range.subtype === subtype);
}

function rangesOf(accept: string): readonly MediaRange[] {
  const known = accepted.get(accept);
  if (known !== undefined) return known;
  const ranges = accept
    .slice(0, longestHeader)
    .split(',')
    .map(parseRange)
    .filter((range) => range !== undefined)
    .sort((a, b) => b.quality - a.quality || specificity(b) - specificity(a));
  if (accepted.size >= 256) accepted.clear();
  if (accept.length <= longestHeader) accepted.set(accept, ranges);
  return ranges;
}

function specificity(range: MediaRange): number {
  return range.type === '*' ? 0 : range.subtype === '*' ? 1 : 2;
}

function parseRange(text: string): MediaRange | undefined {
  const [mediaType = '', ...rest] = text.split(';');
  const [type = '', subtype = ''] = mediaType.trim().toLowerCase().split('/');
  if (type === '' || subtype === '')
    return type === '*' ? { type, subtype: '*', parameters: new Map(), quality: 1 } : undefined;
  const parameters = parametersOf(rest);
  const quality = Number(parameters.get('q') ?? 1);
  return { type, subtype, parameters, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

function parametersOf(parts: readonly string[]): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    if (equals < 0) continue;
    const value = part.slice(equals + 1).trim();
    parameters.set(part.slice(0, equals).trim().toLowerCase(), /^".*"$/.test(value) ? value.slice(1, -1) : value);
  }
  return parameters;
}

export interface ContentType {
  /** Lower case, without parameters: `application/json`. */
  readonly mediaType: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** A Content-Type header; without one, application/json. */
export function parseContentType(header: string | undefined): ContentType {
  const [mediaType = '', ...rest] = (header ?? '').slice(0, longestHeader).split(';');
  const name = mediaType.trim().toLowerCase();
  return { mediaType: name === '' ? mediaTypes.json : name, parameters: parametersOf(rest) };
}

const encodingNames: ReadonlyMap<string, Encoding> = new Map([
  ['application/json', 'json'],
  ['application/yaml', 'yaml'],
  ['application/vnd.kubernetes.protobuf', 'protobuf'],
]);

/** The encoding of a body; undefined: unsupported, the caller answers 415. */
export function bodyEncoding(header: string | undefined): Encoding | undefined {
  return encodingNames.get(parseContentType(header).mediaType);
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

export const patchMediaTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** The kind of a PATCH body; undefined: unsupported, the caller answers 415. */
export function patchType(header: string | undefined): PatchType | undefined {
  const { mediaType } = parseContentType(header);
  return (Object.keys(patchMediaTypes) as PatchType[]).find((one) => patchMediaTypes[one] === mediaType);
}
