import { CodedError } from '#base';

/** Bytes that are not what their media type says, or exceed a limit. The message is for the client, in upstream's words. */
export class DecodeError extends CodedError {
  constructor(code: 'InvalidJson' | 'InvalidYaml' | 'InvalidProtobuf' | 'TooDeep' | 'TooLarge', message: string) {
    super(code, message);
  }
}

/** An object that its schema cannot put on the wire (a string where an integer belongs). */
export class EncodeError extends CodedError {
  constructor(message: string) {
    super('NotEncodable', message);
  }
}
