export { negotiateBytes, sendBytesOverWebSocket } from './byte-channel.ts';
export {
  type ChannelProtocol,
  channel,
  decodeMessage,
  encodeMessage,
  negotiateChannels,
  offeredProtocols,
} from './channels.ts';
export { bridgePortChannels } from './port-channels.ts';
export { bridgeRemoteCommand, type CommandStreams } from './remote-command.ts';
export { SpdyConnection, type SpdyConnectionOptions, type SpdyStream } from './spdy/connection.ts';
export {
  acceptUpgrade,
  dialUpgrade,
  refuseUpgrade,
  tunnel,
  type UpgradedConnection,
  UpgradeRefused,
  type UpgradeTarget,
} from './upgrade.ts';
export { acceptWebSocket, sendMessage, tunnelWebSocket, writeHeldBack } from './websocket.ts';
