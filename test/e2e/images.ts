import { readFile } from 'node:fs/promises';
import { runCommand } from '#base';
import type { ImageDescription, TarEntry } from '#kubelet';

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
    { path: 'etc/group', content: Buffer.from('root:x:0:\nnobody:x:65534:\n') },
    { path: 'bin/busybox', content: await readFile(program), mode: 0o755 },
    ...applets.map((applet) => ({ path: `bin/${applet}`, type: 'symlink' as const, target: 'busybox' })),
  ];
  return { name, files, config };
}
