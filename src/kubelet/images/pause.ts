/**
 * The program of the pause image: sleeps until SIGTERM or SIGINT and, being process 1 of a shared process namespace, ignores SIGCHLD
 * so that the kernel reaps orphans. Process 1 gets a signal it has no handler for only while it blocks it, so both are blocked and
 * waited for. Written out as machine code, so that no compiler is needed.
 *
 *   rt_sigaction(SIGCHLD, {SIG_IGN}, NULL, 8); rt_sigprocmask(SIG_BLOCK, &mask, NULL, 8);
 *   while (rt_sigtimedwait(&mask, NULL, NULL, 8) < 0); exit_group(0);
 */
export function pauseProgram(architecture: 'amd64' | 'arm64'): Uint8Array {
  return architecture === 'amd64' ? elf(62, amd64Code()) : elf(183, arm64Code());
}

/** struct sigaction as the kernel reads it (handler SIG_IGN; flags, restorer and mask zero), then a set of SIGINT and SIGTERM. */
function constants(): Buffer {
  const data = Buffer.alloc(40);
  data.writeUInt8(1, 0);
  data.writeUInt32LE((1 << (2 - 1)) | (1 << (15 - 1)), 32);
  return data;
}

function amd64Code(): Uint8Array {
  const code = Buffer.from([
    ...[0xb8, 0x0d, 0, 0, 0], // mov eax, 13 (rt_sigaction)
    ...[0xbf, 0x11, 0, 0, 0], // mov edi, 17 (SIGCHLD)
    ...[0x48, 0x8d, 0x35, 0x37, 0, 0, 0], // lea rsi, [rip + 55] (the action)
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x41, 0xba, 0x08, 0, 0, 0], // mov r10d, 8
    ...[0x0f, 0x05], // syscall
    ...[0xb8, 0x0e, 0, 0, 0], // mov eax, 14 (rt_sigprocmask)
    ...[0x31, 0xff], // xor edi, edi (SIG_BLOCK)
    ...[0x48, 0x8d, 0x35, 0x3f, 0, 0, 0], // lea rsi, [rip + 63] (the set)
    ...[0x0f, 0x05], // syscall
    ...[0xb8, 0x80, 0, 0, 0], // mov eax, 128 (rt_sigtimedwait)
    ...[0x48, 0x8d, 0x3d, 0x31, 0, 0, 0], // lea rdi, [rip + 49] (the set)
    ...[0x31, 0xf6], // xor esi, esi
    ...[0x0f, 0x05], // syscall
    ...[0x85, 0xc0], // test eax, eax
    ...[0x78, 0xec], // js -20: interrupted, waits again
    ...[0xb8, 0xe7, 0, 0, 0], // mov eax, 231 (exit_group)
    ...[0x31, 0xff], // xor edi, edi
    ...[0x0f, 0x05], // syscall
  ]);
  return Buffer.concat([code, constants()]);
}

function arm64Code(): Uint8Array {
  const move = (register: number, value: number): number => 0xd2800000 + value * 32 + register;
  const addressOf = (register: number, offset: number): number => 0x10000000 + (offset >> 2) * 32 + register;
  const supervisorCall = 0xd4000001;
  const words = [
    move(8, 134), // rt_sigaction
    move(0, 17), // SIGCHLD
    addressOf(1, 64), // the action
    move(2, 0),
    move(3, 8),
    supervisorCall,
    move(8, 135), // rt_sigprocmask
    move(0, 0), // SIG_BLOCK
    addressOf(1, 72), // the set
    supervisorCall,
    move(8, 137), // rt_sigtimedwait
    addressOf(0, 60), // the set
    move(1, 0),
    supervisorCall,
    0x37ffff80, // tbnz w0, #31, -4 words: interrupted, waits again
    move(8, 94), // exit_group
    move(0, 0),
    supervisorCall,
  ];
  const code = Buffer.alloc(words.length * 4);
  words.forEach((word, at) => {
    code.writeUInt32LE(word >>> 0, at * 4);
  });
  return Buffer.concat([code, constants()]);
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
