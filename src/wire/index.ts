export type { Identity, Transport, TransportRequest, TransportResponse } from './transport.ts';
export {
  BodyTooLarge,
  type ByteSink,
  type ByteSource,
  type ExchangeHandler,
  type HttpExchange,
  RequestAborted,
  type ResponseHeaders,
} from './http/exchange.ts';
export {
  type FailoverTransport,
  type FailoverTransportOptions,
  openFailoverTransport,
} from './http/failover-transport.ts';
export {
  ConnectionFailed,
  type HttpsTransport,
  type HttpsTransportOptions,
  openHttpsTransport,
} from './http/https-transport.ts';
export {
  type HttpsServer,
  type ServeHttpsOptions,
  type ServerTls,
  type ServeTimeouts,
  serveHttps,
} from './http/serve-https.ts';
export { Http2Connection, type Http2Limits } from './http2/connection.ts';
export type { ServerStream } from './http2/stream.ts';
export {
  acceptUpgrade,
  acceptWebSocket,
  bridgePortChannels,
  bridgeRemoteCommand,
  type ChannelProtocol,
  type CommandStreams,
  channel,
  decodeMessage,
  dialUpgrade,
  encodeMessage,
  negotiateBytes,
  negotiateChannels,
  offeredProtocols,
  refuseUpgrade,
  SpdyConnection,
  type SpdyConnectionOptions,
  type SpdyStream,
  sendBytesOverWebSocket,
  sendMessage,
  tunnel,
  tunnelWebSocket,
  type UpgradedConnection,
  UpgradeRefused,
  type UpgradeTarget,
  writeHeldBack,
} from './streams/index.ts';
