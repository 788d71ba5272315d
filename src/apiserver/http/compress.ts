import { constants, createGzip, gzip } from 'node:zlib';
import type { ByteSink, ServerRequest, ServerResponse } from '../contract.ts';

const smallestBytes = 128 * 1024;
const level = 1;

/** True when the client takes gzip: `gzip`, or `*`, not with q=0. */
export function acceptsGzip(request: ServerRequest): boolean {
  const header = request.headers['accept-encoding'];
  if (header === undefined || request.objects) return false;
  return header.split(',').some((one) => /^\s*(gzip|\*)\s*(;\s*q\s*=\s*(?!0(\.0*)?\s*$)[\d.]+\s*)?$/.test(one));
}

/** The response gzipped off the main thread, when it is large and the client takes it. */
export function compressed(request: ServerRequest, response: ServerResponse): ServerResponse | Promise<ServerResponse> {
  const { body } = response;
  if (!(body instanceof Uint8Array) || body.length < smallestBytes || !acceptsGzip(request)) return response;
  return new Promise((resolve, reject) => {
    gzip(body, { level }, (error, zipped) => {
      if (error !== null) return reject(error);
      resolve({ ...response, headers: { ...response.headers, ...gzipHeaders }, body: zipped });
    });
  });
}

export const gzipHeaders = { 'content-encoding': 'gzip', vary: 'Accept-Encoding' };

/** A sink whose bytes reach `sink` gzipped, with back-pressure both ways. */
export function gzipSink(sink: ByteSink): ByteSink {
  const zip = createGzip({ level, flush: constants.Z_NO_FLUSH, chunkSize: 64 * 1024 });
  const drains: (() => void)[] = [];
  zip.on('data', (bytes: Buffer) => {
    if (!sink.write(bytes)) zip.pause();
  });
  sink.onDrain(() => void zip.resume());
  zip.on('drain', () => {
    for (const callback of drains) callback();
  });
  zip.on('end', () => sink.end());
  zip.on('error', () => sink.destroy());
  sink.onClose(() => void zip.destroy());
  return {
    write: (bytes) => zip.write(bytes),
    onDrain: (callback) => void drains.push(callback),
    get pendingBytes() {
      return zip.writableLength + sink.pendingBytes;
    },
    end: () => void zip.end(),
    destroy: () => sink.destroy(),
    onClose: (callback) => sink.onClose(callback),
  };
}
