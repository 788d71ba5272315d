export { duplicateKeys } from './duplicate-keys.ts';
export {
  decodeEnvelope,
  decodeObjectProtobuf,
  type Envelope,
  encodeEnvelope,
  encodeListProtobuf,
  encodeObjectProtobuf,
  isEnvelope,
  protobufList,
} from './envelope.ts';
export { DecodeError, EncodeError } from './errors.ts';
export { asBuffer, decodeJson, defaultMaxDepth, encodeJson, jsonText } from './json.ts';
export { decodeProtobuf } from './protobuf-decode.ts';
export { encodeProtobuf } from './protobuf-encode.ts';
export {
  decodeWatchEventProtobuf,
  encodeWatchEventJson,
  encodeWatchEventProtobuf,
  type FrameSplitterOptions,
  JsonLineSplitter,
  LengthFrameSplitter,
} from './frames.ts';
export {
  bodyEncoding,
  type ContentType,
  type Encoding,
  mediaTypes,
  type Negotiated,
  negotiate,
  notAcceptableTypes,
  type Offered,
  type PatchType,
  parseContentType,
  patchMediaTypes,
  patchType,
} from './negotiation.ts';
export { type IncludeObject, partialMetadataOf, type TableColumn, type TableOptions, tableOf } from './table.ts';
export { type DecodeYamlOptions, decodeYaml, decodeYamlDocuments, encodeYaml } from './yaml.ts';
export { yamlText } from './yaml-print.ts';
