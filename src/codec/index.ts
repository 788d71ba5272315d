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
