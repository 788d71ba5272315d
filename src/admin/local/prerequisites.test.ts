import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireCgroups } from './prerequisites.ts';

test('without mounted control groups there are no containers, and a way out is told', () => {
  const root = 'overlay / overlay rw 0 0\nsysfs /sys sysfs rw 0 0\n';
  requireCgroups(`${root}cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n`);
  requireCgroups(`${root}cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n`);
  assert.throws(() => requireCgroups(root), { code: 'NoControlGroups', message: /nsenter --net/ });
});
