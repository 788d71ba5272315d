import { type Encoding, mediaTypes, type Negotiated, negotiate, notAcceptableTypes } from '#codec';
import { errNotAcceptable } from '#machinery';
import type { ServerRequest } from '../contract.ts';
import type { KindResource } from './kind-resource.ts';

/** How an answer is to look. */
export interface Form extends Negotiated {
  readonly contentType: string;
}

const plainJson: Form = Object.freeze({ encoding: 'json', contentType: mediaTypes.json });
const allEncodings: readonly Encoding[] = ['json', 'yaml', 'protobuf'];
const withoutProtobuf: readonly Encoding[] = ['json', 'yaml'];

export type Endpoint = 'object' | 'list' | 'watch' | 'plain';

const transforms = {
  object: ['Table', 'PartialObjectMetadata'],
  list: ['Table', 'PartialObjectMetadataList'],
  watch: ['Table', 'PartialObjectMetadata'],
  plain: [],
} as const;

/** Chooses the answer's form from Accept; throws 406 when nothing fits. */
export function formOf(request: ServerRequest, endpoint: Endpoint, kind?: KindResource): Form {
  const { accept } = request.headers;
  if ((accept === undefined || accept === 'application/json' || accept === '*/*') && !wantsPretty(request))
    return plainJson;
  const encodings = kind?.definition.schema === undefined ? allEncodings : withoutProtobuf;
  const chosen = negotiate(accept, {
    encodings,
    metadataEncodings: allEncodings,
    transforms: transforms[endpoint],
  });
  if (chosen === undefined) throw errNotAcceptable(notAcceptableTypes(encodings));
  const pretty = chosen.pretty === true || (chosen.encoding === 'json' && endpoint !== 'watch' && wantsPretty(request));
  return { ...chosen, pretty, contentType: contentTypeOf(chosen, endpoint) };
}

function contentTypeOf(chosen: Negotiated, endpoint: Endpoint): string {
  const type = mediaTypes[chosen.encoding];
  return endpoint === 'watch' && chosen.encoding !== 'json' ? `${type};stream=watch` : type;
}

/** `?pretty=true`, and people with curl or a browser. */
function wantsPretty({ info, headers }: ServerRequest): boolean {
  const asked = info.rawQuery === '' ? null : info.options.get('pretty');
  if (asked !== null) return asked !== 'false' && asked !== '0';
  const agent = headers['user-agent'];
  return (
    agent !== undefined && (agent.startsWith('curl') || agent.startsWith('Wget') || agent.startsWith('Mozilla/5.0'))
  );
}
