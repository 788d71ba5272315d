import { CodedError } from '#base';

/** Bytes that are not the DER, PEM, certificate or request they claim to be. */
export class MalformedError extends CodedError {
  constructor(what: string) {
    super('Malformed', what);
  }
}

/** A certificate, request or token that is well formed and still not to be trusted; the message says why. */
export class UntrustedError extends CodedError {
  constructor(why: string) {
    super('Untrusted', why);
  }
}
