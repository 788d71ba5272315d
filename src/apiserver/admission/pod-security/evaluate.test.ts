import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinSchema } from '#api';
import { containerLists } from '../pod-containers.ts';
import type { PodLike } from './check.ts';
import { evaluatePod, findingsText } from './evaluate.ts';
import { namespacePolicy, type PodSecurityLevel } from './policy.ts';

/** What satisfies the restricted level, to be spoiled in one place. */
const container = (more: object = {}): object => ({
  name: 'c',
  image: 'x',
  securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, ...more },
});
const good = (spec: object = {}): object => ({
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [container()],
  ...spec,
});
const podOf = (spec: object, annotations?: Record<string, string>): PodLike => ({
  metadata: annotations === undefined ? {} : { annotations },
  spec: spec as PodLike['spec'],
});
const context = (more: object): object => ({
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' }, ...more },
});

type Row = readonly [
  what: string,
  level: PodSecurityLevel,
  spec: object,
  text: string,
  annotations?: Record<string, string>,
];

const table: readonly Row[] = [
  ['good', 'restricted', good(), ''],
  [
    'nothing is forbidden to the privileged',
    'privileged',
    { hostNetwork: true, containers: [container({ privileged: true })] },
    '',
  ],
  [
    'host namespaces',
    'baseline',
    good({ hostNetwork: true, hostPID: true, hostIPC: true }),
    'host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)',
  ],
  [
    'privileged',
    'baseline',
    good({ containers: [container({ privileged: true })] }),
    'privileged (container "c" must not set securityContext.privileged=true)',
  ],
  [
    'two containers',
    'baseline',
    good({
      containers: [
        { name: 'a', securityContext: { privileged: true } },
        { name: 'b', securityContext: { privileged: true } },
      ],
    }),
    'privileged (containers "a", "b" must not set securityContext.privileged=true)',
  ],
  [
    'baseline capabilities',
    'baseline',
    good({ containers: [container({ capabilities: { add: ['CHOWN', 'NET_ADMIN', 'SYS_TIME'] } })] }),
    'non-default capabilities (container "c" must not include "NET_ADMIN", "SYS_TIME" in securityContext.capabilities.add)',
  ],
  [
    'host path',
    'baseline',
    good({ volumes: [{ name: 'v', hostPath: { path: '/' } }] }),
    'hostPath volumes (volume "v")',
  ],
  [
    'host path, restricted says it its way',
    'restricted',
    good({ volumes: [{ name: 'v', hostPath: { path: '/' } }] }),
    'restricted volume types (volume "v" uses restricted volume type "hostPath")',
  ],
  [
    'volume types',
    'restricted',
    good({
      volumes: [
        { name: 'a', nfs: {} },
        { name: 'b', emptyDir: {} },
        { name: 'c', iscsi: {} },
      ],
    }),
    'restricted volume types (volumes "a", "c" use restricted volume types "iscsi", "nfs")',
  ],
  [
    'host ports',
    'baseline',
    good({
      containers: [
        { ...container(), ports: [{ containerPort: 80, hostPort: 80 }, { hostPort: 0 }, { hostPort: 8080 }] },
      ],
    }),
    'hostPort (container "c" uses hostPorts 80, 8080)',
  ],
  [
    'proc mount',
    'baseline',
    good({ containers: [container({ procMount: 'Unmasked' })] }),
    'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
  ],
  [
    'sysctls',
    'baseline',
    good(
      context({
        sysctls: [
          { name: 'kernel.msgmax', value: '1' },
          { name: 'net.ipv4.tcp_syncookies', value: '1' },
        ],
      }),
    ),
    'forbidden sysctls (kernel.msgmax)',
  ],
  [
    'SELinux',
    'baseline',
    good(context({ seLinuxOptions: { type: 'spc_t', user: 'u' } })),
    'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
  ],
  [
    'seccomp unconfined',
    'baseline',
    good(context({ seccompProfile: { type: 'Unconfined' } })),
    'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  [
    'seccomp absent',
    'restricted',
    { securityContext: { runAsNonRoot: true }, containers: [container()] },
    'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  ],
  [
    'seccomp by the container',
    'restricted',
    {
      securityContext: { runAsNonRoot: true },
      containers: [container({ seccompProfile: { type: 'Localhost', localhostProfile: 'x' } })],
    },
    '',
  ],
  [
    'host process',
    'baseline',
    good(context({ windowsOptions: { hostProcess: true } })),
    'hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)',
  ],
  [
    'AppArmor',
    'baseline',
    good(),
    'forbidden AppArmor profile (annotation container.apparmor.security.beta.kubernetes.io/c="unconfined")',
    { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' },
  ],
  [
    'root by the container',
    'restricted',
    good({ containers: [container({ runAsNonRoot: false })] }),
    'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
  ],
  [
    'root by silence',
    'restricted',
    { securityContext: { seccompProfile: { type: 'RuntimeDefault' } }, containers: [container()] },
    'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
  ],
  [
    'user 0',
    'restricted',
    good({ containers: [container({ runAsUser: 0 })] }),
    'runAsUser=0 (container "c" must not set runAsUser=0)',
  ],
  [
    'escalation',
    'restricted',
    good({ containers: [{ name: 'c', securityContext: { capabilities: { drop: ['ALL'] } } }] }),
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
  ],
  [
    'restricted capabilities',
    'restricted',
    good({ containers: [container({ capabilities: { add: ['NET_BIND_SERVICE', 'CHOWN'] } })] }),
    'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must not include "CHOWN" in securityContext.capabilities.add)',
  ],
  [
    'Windows has none of these',
    'restricted',
    { os: { name: 'windows' }, securityContext: { runAsNonRoot: true }, containers: [{ name: 'c' }] },
    '',
  ],
  [
    'baseline findings come first',
    'restricted',
    {
      hostNetwork: true,
      containers: [{ name: 'c', securityContext: { privileged: true, capabilities: { drop: ['ALL'] } } }],
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    },
    'host namespaces (hostNetwork=true), privileged (container "c" must not set securityContext.privileged=true), allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
  ],
];

for (const [what, level, spec, text, annotations] of table) {
  test(`${level}: ${what}`, () => {
    assert.equal(findingsText(evaluatePod(podOf(spec, annotations), { level, version: 'latest' })), text);
  });
}

test('a container counts in whichever list it stands', () => {
  for (const list of containerLists) {
    const spec = { ...good({ containers: [] }), [list]: [{ name: 'c', securityContext: { privileged: true } }] };
    assert.match(findingsText(evaluatePod(podOf(spec), { level: 'baseline', version: 'latest' })), /privileged/, list);
  }
});

test('there is no list of containers that policies do not know', () => {
  const fields = [...(builtinSchema.type('core/v1.PodSpec').fields ?? [])];
  const lists = fields
    .filter(
      ([, field]) =>
        field.node.element?.fields?.has('image') === true && field.node.element.fields.has('securityContext'),
    )
    .map(([name]) => name);
  assert.deepEqual(lists.sort(), [...containerLists].sort());
});

test('a label that makes no sense counts as the strictest', () => {
  const policy = namespacePolicy(
    { 'pod-security.kubernetes.io/enforce': 'lax', 'pod-security.kubernetes.io/warn-version': 'v1.25' },
    { enforce: 'privileged', warn: 'baseline', audit: 'baseline' },
  );
  assert.deepEqual(policy, {
    enforce: { level: 'restricted', version: 'latest' },
    warn: { level: 'baseline', version: 'v1.25' },
    audit: { level: 'baseline', version: 'latest' },
  });
});

test('the standards of older versions', () => {
  const rows: readonly (readonly [PodSecurityLevel, string, object, string])[] = [
    [
      'baseline',
      'v1.26',
      context({ sysctls: [{ name: 'net.ipv4.ip_local_reserved_ports', value: '1' }] }),
      'forbidden sysctls (net.ipv4.ip_local_reserved_ports)',
    ],
    ['baseline', 'v1.27', context({ sysctls: [{ name: 'net.ipv4.ip_local_reserved_ports', value: '1' }] }), ''],
    [
      'baseline',
      'v1.31',
      context({ sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1' }] }),
      'forbidden sysctls (net.ipv4.tcp_rmem)',
    ],
    ['baseline', 'v1.99', context({ sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1' }] }), ''],
    [
      'baseline',
      'v1.30',
      context({ seLinuxOptions: { type: 'container_engine_t' } }),
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "container_engine_t")',
    ],
    ['baseline', 'v1.31', context({ seLinuxOptions: { type: 'container_engine_t' } }), ''],
    [
      'baseline',
      'v1.33',
      { containers: [{ name: 'c', livenessProbe: { httpGet: { host: '10.0.0.1', port: 1 } } }] },
      '',
    ],
    [
      'baseline',
      'v1.34',
      { containers: [{ name: 'c', livenessProbe: { httpGet: { host: '10.0.0.1', port: 1 } } }] },
      'probe or lifecycle host (container "c" uses probe or lifecycle host "10.0.0.1")',
    ],
    [
      'restricted',
      'v1.7',
      { containers: [{ name: 'c' }] },
      'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
    ],
    [
      'restricted',
      'v1.22',
      context({ runAsUser: 0 }),
      'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
    ],
    [
      'restricted',
      'v1.23',
      { ...context({ runAsUser: 0 }), containers: [container()] },
      'runAsUser=0 (pod must not set runAsUser=0)',
    ],
    [
      'restricted',
      'v1.24',
      { ...good({ containers: [{ name: 'c' }] }), os: { name: 'windows' } },
      'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
    ],
    ['restricted', 'v1.25', { ...good({ containers: [{ name: 'c' }] }), os: { name: 'windows' } }, ''],
    [
      'baseline',
      'v1.34',
      { hostUsers: false, containers: [container({ procMount: 'Unmasked' })] },
      'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
    ],
    ['baseline', 'latest', { hostUsers: false, containers: [container({ procMount: 'Unmasked' })] }, ''],
    [
      'restricted',
      'latest',
      good({ hostUsers: false, containers: [container({ procMount: 'Unmasked' })] }),
      'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
    ],
    [
      'restricted',
      'v1.35',
      { ...good({ hostUsers: false }), securityContext: { runAsUser: 0, seccompProfile: { type: 'RuntimeDefault' } } },
      '',
    ],
  ];
  for (const [level, version, spec, text] of rows) {
    const pod = podOf({ containers: [{ name: 'c' }], ...spec });
    assert.equal(
      findingsText(evaluatePod(pod, { level, version })),
      text,
      `${level} ${version} ${JSON.stringify(spec)}`,
    );
  }
  const annotated = podOf(
    { containers: [{ name: 'c' }] },
    { 'container.seccomp.security.alpha.kubernetes.io/c': 'unconfined' },
  );
  assert.equal(
    findingsText(evaluatePod(annotated, { level: 'baseline', version: 'v1.18' })),
    'seccompProfile (forbidden annotation container.seccomp.security.alpha.kubernetes.io/c="unconfined")',
  );
  assert.deepEqual(evaluatePod(annotated, { level: 'baseline', version: 'v1.19' }), []);
});
