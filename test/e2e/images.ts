import { readFile } from 'node:fs/promises';
import { runCommand } from '#base';
import type { ImageDescription, TarEntry } from '#kubelet';

/**
 * `fetch http://NAME[:PORT][/PATH]` for pods: looks the name up as programs do (glibc, search path) and prints the page. Debian's
 * static busybox cannot: its resolver is a shared library of another glibc, and it crashes. So the machine's bash, which can speak
 * TCP, comes along with its libraries, in a folder where busybox does not look.
 */
const fetchScript = `#!/bin/sh
exec /opt/glibc/loader --library-path /opt/glibc /opt/glibc/bash -c '
rest=\${1#http://}; authority=\${rest%%/*}; host=\${authority%%:*}; port=\${authority#$host}; path=\${rest#$authority}
exec 3<>"/dev/tcp/$host/\${port:1}" || exit 4
printf "GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n" "\${path:-/}" "$authority" >&3
while IFS= read -r -u 3 line && [ "$line" != $'"'\\\\r'"' ]; do :; done
while IFS= read -r -u 3 line || [ -n "$line" ]; do printf "%s\\n" "$line"; done
' fetch "$(case "$1" in http://*:*) echo "$1";; *) echo "$1" | sed -E 's#^(http://[^/]+)#\\1:80#';; esac)"
`;

async function fetchProgram(): Promise<TarEntry[]> {
  const { stdout } = await runCommand('ldd', ['/bin/bash']);
  const paths = [...stdout.matchAll(/(\/\S+)/g)].map((match) => match[1] as string);
  const { stdout: libc } = await runCommand('dpkg', ['-L', 'libc6']);
  const resolver = libc.split('\n').filter((path) => /\/(libresolv\.so\.2|libnss_(dns|files)\.so\.2)$/.test(path));
  return [
    { path: 'opt', type: 'directory' },
    { path: 'opt/glibc', type: 'directory' },
    ...(await Promise.all(
      [...paths, ...resolver].map(async (path) => ({
        path: `opt/glibc/${path.includes('/ld-linux') ? 'loader' : path.slice(path.lastIndexOf('/') + 1)}`,
        content: await readFile(path),
        mode: 0o755,
      })),
    )),
    { path: 'opt/glibc/bash', content: await readFile('/bin/bash'), mode: 0o755 },
    { path: 'usr/bin/fetch', content: Buffer.from(fetchScript), mode: 0o755 },
    { path: 'etc/nsswitch.conf', content: Buffer.from('hosts: files dns\n') },
  ];
}

/** A busybox image from the machine's static busybox (Debian: busybox-static), every applet linked in /bin. */
export async function busyboxImage(
  name = 'docker.io/library/busybox:1',
  config: ImageDescription['config'] = { cmd: ['sh'] },
): Promise<ImageDescription> {
  const program = '/bin/busybox';
  const { stdout } = await runCommand(program, ['--list']);
  const applets = stdout.split('\n').filter((applet) => applet !== '' && applet !== 'busybox');
  const directories = ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'usr', 'usr/bin', 'var', 'var/log'];
  const files: TarEntry[] = [
    ...directories.map((path) => ({ path, type: 'directory' as const })),
    { path: 'tmp', type: 'directory', mode: 0o1777 },
    {
      path: 'etc/passwd',
      content: Buffer.from('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n'),
    },
    ...(await fetchProgram()),
    { path: 'etc/group', content: Buffer.from('root:x:0:\nnobody:x:65534:\n') },
    { path: 'bin/busybox', content: await readFile(program), mode: 0o755 },
    ...applets.map((applet) => ({ path: `bin/${applet}`, type: 'symlink' as const, target: 'busybox' })),
  ];
  return { name, files, config };
}
