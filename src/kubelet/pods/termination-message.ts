import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { terminationMessagePolicyAnnotation } from '../cri/names.ts';
import { lastLines } from '../logs/tail.ts';
import type { ObservedContainer } from './runtime-state.ts';

const longestMessage = 4096;
const longestLogMessage = 2048;
const mostLogLines = 80;

/** The file of the node that a container sees at its terminationMessagePath. */
export function terminationFile(podDirectory: string, name: string, attempt: number): string {
  return join(podDirectory, 'containers', name, String(attempt));
}

/** What an ended container left to say: its termination file, or the end of its log when it failed and asked for that. */
export async function terminationMessage(podDirectory: string, container: ObservedContainer): Promise<string> {
  const own = await readStart(terminationFile(podDirectory, container.name, container.attempt), longestMessage);
  const fallback = container.annotations[terminationMessagePolicyAnnotation] === 'FallbackToLogsOnError';
  if (own !== '' || !fallback || container.exitCode === 0 || container.logPath === '') return own;
  return lastLines(container.logPath, { lines: mostLogLines, bytes: longestLogMessage });
}

async function readStart(path: string, length: number): Promise<string> {
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return '';
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await handle.close();
  }
}
