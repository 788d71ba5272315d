import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '#base';
import { runCommand } from '#base';
import { keyringOf, registryPath } from './keyring.ts';
import { buildImage, buildPauseImage } from './oci-archive.ts';
import { planImageCollection } from './collector.ts';
import { ImageError, isImageReference, openImagePuller } from './puller.ts';
import { tarOf } from './tar.ts';

test('tar(1) reads the archive', async () => {
  const long = `${'d'.repeat(80)}/${'f'.repeat(90)}`;
  const archive = tarOf([
    { path: 'dir', type: 'directory' },
    { path: 'dir/file', content: Buffer.from('hello'), mode: 0o755 },
    { path: 'link', type: 'symlink', target: 'dir/file' },
    { path: long, content: Buffer.alloc(513) },
  ]);
  const { stdout } = await runCommand('tar', ['-tv', '--full-time', '--utc'], { input: archive });
  const lines = stdout.trim().split('\n');
  assert.match(lines[0] ?? '', /^drwxr-xr-x .* dir\/$/);
  assert.match(lines[1] ?? '', /^-rwxr-xr-x root\/root|0\/0 +5 1970-01-01 00:00:00 dir\/file$/);
  assert.match(lines[2] ?? '', / link -> dir\/file$/);
  assert.ok(lines[3]?.endsWith(long));
  assert.throws(() => tarOf([{ path: 'x'.repeat(300) }]), RangeError);
});

test('images are reproducible', () => {
  assert.deepEqual(buildPauseImage({ architecture: 'arm64' }), buildPauseImage({ architecture: 'arm64' }));
  assert.notDeepEqual(buildPauseImage({ architecture: 'arm64' }), buildPauseImage({ architecture: 'amd64' }));
  const image = buildImage({
    name: 'a/b:1',
    files: [{ path: 'f', content: Buffer.from('x') }],
    config: { cmd: ['/f'] },
  });
  assert.ok(Buffer.from(image).includes('"io.containerd.image.name":"a/b:1"'));
});

test('references', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  for (const good of [
    'busybox',
    'busybox:1.36',
    'a/b/c',
    'host:5000/a',
    `x@${digest}`,
    `h.io/x:1@${digest}`,
    'localhost/a',
    '[::1]:5000/a',
    'a__b/c--d',
  ]) {
    assert.ok(isImageReference(good), good);
  }
  for (const bad of [
    '',
    'Busybox',
    'a b',
    'a:b:c',
    'a/',
    '/a',
    'a//b',
    '-a',
    'x@sha256:short',
    'a:-',
    '$(id)',
    'a;b',
    'https://a/b',
  ]) {
    assert.ok(!isImageReference(bad), bad);
  }
  assert.equal(registryPath('busybox:1'), 'docker.io/library/busybox');
  assert.equal(registryPath('a/b'), 'docker.io/a/b');
  assert.equal(registryPath(`r.io:5000/a/b:1@${digest}`), 'r.io:5000/a/b');
});

const secretOf = (auths: object) =>
  ({ data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') } }) as never;

test('credentials are found by registry and path, the narrowest first', () => {
  const auth = Buffer.from('user:pa:ss').toString('base64');
  const keyring = keyringOf([
    secretOf({
      'https://index.docker.io/v1/': { auth },
      'r.io': { username: 'wide', password: 'p' },
      'r.io/team': { username: 'narrow', password: 'p' },
      '*.wild.io': { auth },
      'bad.io': 5,
    }),
    { data: { '.dockerconfigjson': 'bm90IGpzb24=' } } as never,
  ]);
  assert.deepEqual(keyring.lookup('busybox'), [{ username: 'user', password: 'pa:ss' }]);
  assert.deepEqual(
    keyring.lookup('r.io/team/x:1').map(({ username }) => username),
    ['narrow', 'wide'],
  );
  assert.deepEqual(
    keyring.lookup('r.io/other').map(({ username }) => username),
    ['wide'],
  );
  assert.equal(keyring.lookup('a.wild.io/x').length, 1);
  assert.equal(keyring.lookup('a.b.wild.io/x').length, 0);
  assert.equal(keyring.lookup('bad.io/x').length, 0);
  assert.equal(keyring.lookup('r.io.evil.com/x').length, 0);
});

test('pull policies, shared pulls, and the back-off', async () => {
  const clock = new ManualClock();
  let pulls = 0;
  let works = false;
  const present = new Set(['here']);
  const cri = {
    imageStatus: async (image: string) => (present.has(image) ? { id: image, size: 5 } : undefined),
    pullImage: async (image: string) => {
      pulls++;
      if (!works) throw new Error('no such image');
      present.add(image);
      return image;
    },
  } as never;
  const puller = openImagePuller({ cri, clock });
  const events: string[] = [];
  const ensure = (image: string, imagePullPolicy: string) =>
    puller.ensure({
      pod: { metadata: { uid: 'u' } } as never,
      container: { name: 'c', image, imagePullPolicy },
      sandbox: undefined,
      pullSecrets: async () => [],
      event: (_, reason) => events.push(reason),
    });
  const code = async (image: string, policy: string): Promise<string> => {
    const error = await ensure(image, policy).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    return error instanceof ImageError ? error.code : 'none';
  };
  assert.equal((await ensure('here', 'IfNotPresent')).id, 'here');
  assert.equal(await code('absent', 'Never'), 'ErrImageNeverPull');
  assert.equal(await code('BAD', 'Always'), 'InvalidImageName');
  assert.equal(await code('absent', 'IfNotPresent'), 'ErrImagePull');
  assert.equal(await code('absent', 'IfNotPresent'), 'ImagePullBackOff');
  assert.equal(pulls, 1);
  await clock.advance(10_000);
  assert.equal(await code('absent', 'IfNotPresent'), 'ErrImagePull');
  await clock.advance(10_000);
  assert.equal(await code('absent', 'IfNotPresent'), 'ImagePullBackOff');
  works = true;
  await clock.advance(10_000);
  const [one, two] = await Promise.all([ensure('absent', 'Always'), ensure('absent', 'Always')]);
  assert.equal(one.id, two.id);
  assert.equal(pulls, 3);
  assert.ok(events.includes('BackOff') && events.includes('Pulling') && events.includes('Pulled'));
});

test('unused images go, the longest unused first, never those in use, pinned, young or kept', () => {
  const image = (id: string, size: number, extra: object = {}) => ({
    id,
    size,
    repo_tags: [`${id}:1`],
    repo_digests: [],
    username: '',
    pinned: false,
    ...extra,
  });
  const images = [
    image('old', 10),
    image('older', 10),
    image('used', 99),
    image('young', 99),
    image('pause', 99),
    image('pinned', 99, { pinned: true }),
    image('unseen', 99),
  ];
  const seenMs = new Map(Object.entries({ old: 2, older: 1, used: 0, young: 999_999, pause: 0, pinned: 0 }));
  const plan = (bytesToFree: number) =>
    planImageCollection({
      images,
      used: new Set(['used']),
      seenMs,
      nowMs: 1_000_000,
      bytesToFree,
      kept: ['pause:1'],
    }).map(({ id }) => id);
  assert.deepEqual(plan(5), ['older']);
  assert.deepEqual(plan(1000), ['older', 'old']);
  assert.deepEqual(plan(0), []);
});
