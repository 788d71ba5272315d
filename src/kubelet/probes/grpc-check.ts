import { Client, credentials, Metadata, status as grpcStatus } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import type { CheckResult } from './http-check.ts';

const serving = 1;
const statusNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/** The standard gRPC health check (grpc.health.v1.Health/Check) without TLS. */
export function checkGrpc(
  host: string,
  port: number,
  service: string,
  options: { readonly timeoutMs: number; readonly nowMs: number },
): Promise<CheckResult> {
  const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const client = new Client(target, credentials.createInsecure(), {
    'grpc.enable_http_proxy': 0,
    'grpc.primary_user_agent': 'kube-probe/1.36',
  });
  const request = service === '' ? new Uint8Array(0) : protobuf.Writer.create().uint32(10).string(service).finish();
  return new Promise((resolve) => {
    client.makeUnaryRequest<Uint8Array, number>(
      '/grpc.health.v1.Health/Check',
      (bytes) => Buffer.from(bytes),
      servingStatus,
      request,
      new Metadata(),
      { deadline: options.nowMs + options.timeoutMs },
      (error, value) => {
        client.close();
        if (error === null) {
          if (value === serving) return resolve({ result: 'success', output: 'service healthy' });
          return resolve({
            result: 'failure',
            output: `service unhealthy (responded with "${statusNames[value ?? 0] ?? value}")`,
          });
        }
        if (error.code === grpcStatus.UNIMPLEMENTED) {
          return resolve({
            result: 'failure',
            output: 'error: this server does not implement the grpc health protocol (grpc.health.v1.Health)',
          });
        }
        if (error.code === grpcStatus.DEADLINE_EXCEEDED) {
          return resolve({
            result: 'failure',
            output: `timeout: failed to connect service "${target}" within ${options.timeoutMs}ms: context deadline exceeded`,
          });
        }
        resolve({ result: 'failure', output: `error: health rpc failed: ${error.details}` });
      },
    );
  });
}

function servingStatus(bytes: Uint8Array): number {
  const reader = protobuf.Reader.create(bytes);
  let value = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 8) value = reader.uint32();
    else reader.skipType(tag & 7);
  }
  return value;
}
