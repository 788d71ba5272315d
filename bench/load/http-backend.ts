/** Answers every HTTP/1.1 request with the same few bytes: a backend that costs next to nothing. Prints its port. */
import { type AddressInfo, createServer } from 'node:net';

const answer = Buffer.from('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nHello, world\n');
const end = Buffer.from('\r\n\r\n');

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (bytes: Buffer) => {
    const input = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    let at = 0;
    for (let next = input.indexOf(end); next !== -1; next = input.indexOf(end, at)) {
      at = next + end.length;
      socket.write(answer);
    }
    rest = at === input.length ? Buffer.alloc(0) : input.subarray(at);
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
