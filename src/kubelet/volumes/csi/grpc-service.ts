import { Client, credentials, Metadata, type ServiceError, status as grpcStatus } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import type { Clock } from '#base';
import { DriverError } from '../errors.ts';

/** One gRPC call by name. Throws DriverError with the status' name as its code. */
export type GrpcCall = <R>(method: string, request: object, timeoutMs: number) => Promise<R>;

export interface GrpcChannel {
  /** The calls of one service, e.g. `csi.v1.Node`. */
  service(name: string): GrpcCall;
  close(): void;
}

const largestMessage = 16 << 20;
const codec = { longs: Number, enums: String, defaults: true, arrays: true, objects: true, oneofs: false } as const;

/** A connection to a driver's socket. Connects with the first call. */
export function openGrpcChannel(options: {
  readonly socket: string;
  readonly root: protobuf.Root;
  readonly clock: Clock;
}): GrpcChannel {
  const { socket, root, clock } = options;
  const channel = new Client(`unix://${socket}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': largestMessage,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2000,
    'grpc.enable_http_proxy': 0,
    'grpc.default_authority': 'localhost',
  });
  return {
    service: (name) => {
      const { methods } = root.lookupService(name);
      return <R>(method: string, request: object, timeoutMs: number): Promise<R> => {
        const found = Object.hasOwn(methods, method) ? methods[method] : undefined;
        found?.resolve();
        const input = found?.resolvedRequestType;
        const output = found?.resolvedResponseType;
        if (!input || !output) throw new TypeError(`${name} has no method ${method}`);
        return new Promise((resolve, reject) => {
          channel.makeUnaryRequest<object, object>(
            `/${name}/${method}`,
            (value) => Buffer.from(input.encode(input.fromObject(value)).finish()),
            (bytes) => output.toObject(output.decode(bytes), codec),
            request,
            new Metadata(),
            { deadline: clock.nowMs() + timeoutMs },
            (error, value) => (error === null ? resolve(value as R) : reject(driverErrorOf(error))),
          );
        });
      };
    },
    close: () => channel.close(),
  };
}

function driverErrorOf(error: ServiceError): DriverError {
  return new DriverError(grpcStatus[error.code] ?? 'UNKNOWN', error.details || error.message, { cause: error });
}
