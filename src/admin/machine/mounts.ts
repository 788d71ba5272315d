import { readFileSync } from 'node:fs';
import { runCommand } from '#base';

/** Mount points at or below a folder, the deepest and latest first. */
export function mountsBelow(folder: string): string[] {
  const unescape = (text: string): string =>
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => unescape(line.split(' ')[4] ?? ''))
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
    .reverse();
}

/** Unmounts everything at or below a folder; what is busy is let go as soon as it can be. Returns what is mounted still. */
export async function unmountBelow(folder: string): Promise<string[]> {
  for (let round = 0; round < 4; round++) {
    const points = mountsBelow(folder);
    if (points.length === 0) return [];
    for (const point of points) {
      const lazy = round === 0 ? [] : ['-l'];
      await runCommand('umount', [...lazy, point], { okCodes: [0, 1, 32] });
    }
  }
  return mountsBelow(folder);
}
