import { createSocket } from 'node:dgram';
import { systemClock } from '#base';

/** True when the DNS server at `address` answers for `name` with an address. One packet, at most `timeoutMs`. */
export function dnsAnswers(address: string, name: string, timeoutMs: number): Promise<boolean> {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const header = Buffer.from([0x4b, 0x38, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const query = Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (result: boolean): void => {
      timer.cancel();
      socket.close();
      resolve(result);
    };
    const timer = systemClock.setTimer(() => end(false), timeoutMs);
    socket.on('error', () => end(false));
    socket.on('message', (message) => end(message.length > 8 && message.readUInt16BE(6) > 0));
    socket.connect(53, address, () => socket.send(query));
  });
}
