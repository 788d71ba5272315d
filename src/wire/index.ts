export type { Identity, Transport, TransportRequest, TransportResponse } from './transport.ts';
