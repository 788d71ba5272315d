import { readFile } from 'node:fs/promises';
import { runCommand } from '#base';
import type { ImageDescription, TarEntry } from '#kubelet';

/**
 * `fetch URL` for pods: looks the host up as programs do (glibc, search path) and gets the page. Debian's static busybox cannot do
 * the first itself (glibc's resolver is a shared library, and a static program that loads another version of it crashes), so the
 * machine's getent comes along with what it needs, in a folder where busybox does not look.
 */
const fetchScript = `#!/bin/sh
rest=\${1#http://}; authority=\${rest%%/*}; host=\${authority%%:*}; port=\${authority#\$host}; path=\${rest#\$authority}
address=$(/opt/glibc/loader --library-path /opt/glibc /opt/glibc/getent ahostsv4 "$host" | while read -r first _; do echo "$first"; break; done)
[ -n "$address" ] || { echo "fetch: $host: no such name" >&2; exit 4; }
exec wget -q -O - -T 5 --header "Host: $authority" "http://$address\${port:-:80}\${path:-/}"
`;

async function nameServices(): Promise<TarEntry[]> {
  const { stdout } = await runCommand('dpkg', ['-L', 'libc6']);
  const wanted = /\/(libc\.so\.6|libresolv\.so\.2|libnss_(dns|files)\.so\.2|ld-linux[^/]*\.so\.\d)$/;
  const paths = stdout.split('\n').filter((path) => wanted.test(path));
  return [
    { path: 'opt', type: 'directory' },
    { path: 'opt/glibc', type: 'directory' },
    ...(await Promise.all(
      paths.map(async (path) => ({
        path: `opt/glibc/${path.includes('/ld-linux') ? 'loader' : path.slice(path.lastIndexOf('/') + 1)}`,
        content: await readFile(path),
        mode: 0o755,
      })),
    )),
    { path: 'opt/glibc/getent', content: await readFile('/usr/bin/getent'), mode: 0o755 },
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
    ...(await nameServices()),
    { path: 'etc/group', content: Buffer.from('root:x:0:\nnobody:x:65534:\n') },
    { path: 'bin/busybox', content: await readFile(program), mode: 0o755 },
    ...applets.map((applet) => ({ path: `bin/${applet}`, type: 'symlink' as const, target: 'busybox' })),
  ];
  return { name, files, config };
}
