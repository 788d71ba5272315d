/**
 * The program of the pause image: sleeps for ever and, being process 1 of a shared process namespace, ignores SIGCHLD so that the
 * kernel reaps orphans. Written out as machine code, so that no compiler is needed.
 *
 *   rt_sigaction(SIGCHLD, {SIG_IGN}, NULL, 8); for (;;) pause();
 */
export function pauseProgram(architecture: 'amd64' | 'arm64'): Uint8Array {
  return architecture === 'amd64' ? elf(62, amd64Code()) : elf(183, arm64Code());
}

/** struct sigaction as the kernel reads it: handler SIG_IGN, flags, restorer and mask zero. */
function ignoreAction(): Buffer {
  const action = Buffer.alloc(32);
  action.writeUInt8(1, 0);
  return action;
}

function amd64Code(): Uint8Array {
  const code = Buffer.from([
    ...[0xb8, 0x0d, 0, 0, 0], // mov eax, 13 (rt_sigaction)
    ...[0xbf, 0x11, 0, 0, 0], // mov edi, 17 (SIGCHLD)
    ...[0x48, 0x8d, 0x35, 0x13, 0, 0, 0], // lea rsi, [rip + 19]
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x41, 0xba, 0x08, 0, 0, 0], // mov r10d, 8
    ...[0x0f, 0x05], // syscall
    ...[0xb8, 0x22, 0, 0, 0], // mov eax, 34 (pause)
    ...[0x0f, 0x05], // syscall
    ...[0xeb, 0xf7], // jmp -9
  ]);
  return Buffer.concat([code, ignoreAction()]);
}

function arm64Code(): Uint8Array {
  const move = (register: number, value: number): number => 0xd2800000 + value * 32 + register;
  const supervisorCall = 0xd4000001;
  const words = [
    move(8, 134), // rt_sigaction
    move(0, 17), // SIGCHLD
    0x10000000 + (48 >> 2) * 32 + 1, // adr x1, +48
    move(2, 0),
    move(3, 8),
    supervisorCall,
    move(8, 73), // ppoll without files or limit: sleeps
    move(0, 0),
    move(1, 0),
    move(2, 0),
    move(3, 0),
    move(4, 0),
    supervisorCall,
    0x14000000 + ((-7 & 0x3ffffff) >>> 0), // b -7 words
  ];
  const code = Buffer.alloc(words.length * 4);
  words.forEach((word, at) => {
    code.writeUInt32LE(word >>> 0, at * 4);
  });
  return Buffer.concat([code, ignoreAction()]);
}

/** A static ELF64 executable with one readable and executable segment. */
function elf(machine: number, code: Uint8Array): Uint8Array {
  const base = 0x400000n;
  const headers = 120;
  const size = BigInt(headers + code.length);
  const header = Buffer.alloc(headers);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(base + BigInt(headers), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64);
  header.writeUInt32LE(5, 68);
  header.writeBigUInt64LE(0n, 72);
  header.writeBigUInt64LE(base, 80);
  header.writeBigUInt64LE(base, 88);
  header.writeBigUInt64LE(size, 96);
  header.writeBigUInt64LE(size, 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([header, code]);
}
