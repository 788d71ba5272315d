import type { Socket } from 'node:net';
import type { ResponseHead } from './heads.ts';

/** The client's side of one request, however it came (HTTP/1.1, HTTP/2). Exactly one answer is given. */
export interface Inbound {
  readonly method: string;
  readonly target: string;
  /** Host and port as the client named them. */
  readonly authority: string;
  /** Lower-case names and values in turn, only what may be passed on. */
  readonly headers: readonly string[];
  /** 0: none; undefined: not known beforehand. */
  readonly contentLength: number | undefined;
  readonly upgrade: string | undefined;
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly localPort: number;
  /** The whole body has been handed out (also when there is none). */
  readonly bodyDone: boolean;
  /** The client is there to read an answer. */
  readonly alive: boolean;
  /** Who takes the body and hears of the client's leaving; the body flows from `resumeBody` on. */
  attach(consumer: InboundConsumer): void;
  resumeBody(): void;
  pauseBody(): void;
  /** An answer without a body, or its beginning: `length` undefined means not known. */
  respond(head: ResponseHead, length: number | undefined): void;
  /** 1xx. */
  inform(head: ResponseHead): void;
  /** False: the client is behind; `onDrain` follows. */
  write(bytes: Buffer): boolean;
  end(trailers?: readonly string[]): void;
  /** Breaks the answer off so that the client sees that it is not whole. */
  abort(): void;
  /** After 101: hands over the connection and what was already read from it. HTTP/1.1 only. */
  takeOver(head: ResponseHead): { readonly socket: Socket; readonly first: Buffer | undefined };
}

export interface InboundConsumer {
  onBody(bytes: Buffer): void;
  onBodyEnd(): void;
  onDrain(): void;
  /** The client went away before its answer was whole. */
  onGone(): void;
}

/** The backend's side of one request. */
export interface Outbound {
  /** Nothing was sent on this connection before. */
  readonly fresh: boolean;
  /** False: the backend is behind; `onRequestDrain` follows. */
  write(bytes: Buffer): boolean;
  end(): void;
  pause(): void;
  resume(): void;
  /** Gives the exchange up; nothing more is heard of it. */
  abort(): void;
  takeOver(): { readonly socket: Socket; readonly first: Buffer | undefined };
}

export interface OutboundConsumer {
  /** There is a connection: `outbound.begin` may be called. */
  onInformation(head: ResponseHead): void;
  onHead(head: ResponseHead): void;
  onData(bytes: Buffer): void;
  onEnd(trailers?: readonly string[]): void;
  onRequestDrain(): void;
  /** `unsent`: the backend cannot have begun to work on the request. */
  onFailed(why: string, unsent: boolean): void;
}

/** What a backend is told of one request. */
export interface OutboundRequest {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly headers: readonly string[];
  readonly contentLength: number | undefined;
  readonly upgrade: string | undefined;
}
