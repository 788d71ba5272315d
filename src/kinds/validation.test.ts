import assert from 'node:assert/strict';
import { test } from 'node:test';
import { creationErrors, type Sample } from './golden.ts';

const container = { name: 'c', image: 'i:1' };
const pod = (spec: object, metadata: object = {}): Sample => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata,
  spec: { containers: [container], ...spec },
});
const podWith = (extra: object, spec: object = {}): Sample =>
  pod({ ...spec, containers: [{ ...container, ...extra }] });
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [container] } };
const selector = { matchLabels: { app: 'a' } };
const deployment = (spec: object): Sample => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  spec: { selector, template, ...spec },
});
const service = (spec: object): Sample => ({
  apiVersion: 'v1',
  kind: 'Service',
  spec: { ports: [{ port: 80 }], ...spec },
});
const job = (spec: object): Sample => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'j' },
  spec: { template: { spec: { containers: [container], restartPolicy: 'Never' } }, ...spec },
});

const dnsLabel =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const refused: readonly (readonly [title: string, sample: Sample, errors: readonly string[]])[] = [
  ['pod', pod({}), []],
  ['pod without containers', pod({ containers: [] }), ['spec.containers: Required value']],
  [
    'container without name and image',
    pod({ containers: [{}] }),
    ['spec.containers[0].name: Required value', 'spec.containers[0].image: Required value'],
  ],
  [
    'container with a bad name, twice',
    pod({
      containers: [
        { ...container, name: 'A_b' },
        { ...container, name: 'A_b' },
      ],
    }),
    [
      `spec.containers[0].name: Invalid value: "A_b": ${dnsLabel}`,
      `spec.containers[1].name: Invalid value: "A_b": ${dnsLabel}`,
      'spec.containers[1].name: Duplicate value: "A_b"',
    ],
  ],
  [
    'unknown policies',
    pod({ restartPolicy: 'Sometimes', dnsPolicy: 'x' }),
    [
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
      'spec.dnsPolicy: Unsupported value: "x": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
    ],
  ],
  [
    'ports',
    podWith({
      ports: [{ containerPort: 0 }, { containerPort: 70000, protocol: 'tcp' }, { containerPort: 1, name: 'a--b' }],
    }),
    [
      'spec.containers[0].ports[0].containerPort: Required value',
      'spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      'spec.containers[0].ports[1].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
      'spec.containers[0].ports[2].name: Invalid value: "a--b": must not contain consecutive hyphens',
    ],
  ],
  [
    'mount of no volume',
    podWith({
      volumeMounts: [
        { name: 'x', mountPath: '/x' },
        { name: 'x', mountPath: '/x', subPath: '../y' },
      ],
    }),
    [
      'spec.containers[0].volumeMounts[0].name: Not found: "x"',
      'spec.containers[0].volumeMounts[1].name: Not found: "x"',
      'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique',
      'spec.containers[0].volumeMounts.subPath: Invalid value: "../y": must not contain \'..\'',
    ],
  ],
  [
    'volumes',
    pod({
      volumes: [
        { name: 'a', emptyDir: {}, hostPath: { path: '/' } },
        { name: 'a', secret: { defaultMode: 0o1777 } },
        { name: 'b', hostPath: { path: '/../etc', type: 'Pipe' } },
      ],
    }),
    [
      'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
      'spec.volumes[1].secret.secretName: Required value',
      'spec.volumes[1].secret.defaultMode: Invalid value: 1023: must be a number between 0 and 0777 (octal), both inclusive',
      'spec.volumes[2].hostPath.path: Invalid value: "/../etc": must not contain \'..\'',
      'spec.volumes[2].hostPath.type: Unsupported value: "Pipe": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
    ],
  ],
  [
    'environment',
    podWith({
      env: [
        { value: 'x' },
        { name: 'A=B' },
        { name: 'C', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'D', valueFrom: { fieldRef: { fieldPath: 'metadata.labels' } } },
        { name: 'E', valueFrom: { fieldRef: { fieldPath: 'spec.hostname' } } },
        { name: 'F', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['Not/a/Name']" } } },
        { name: 'G', valueFrom: { resourceFieldRef: { resource: 'limits.gpu' } } },
        { name: 'H', valueFrom: {} },
      ],
    }),
    [
      'spec.containers[0].env[0].name: Required value',
      'spec.containers[0].env[1].name: Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters other than \'=\'',
      'spec.containers[0].env[2].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
      'spec.containers[0].env[3].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
      'spec.containers[0].env[4].valueFrom.fieldRef.fieldPath: Invalid value: "spec.hostname": error converting fieldPath: field label not supported: spec.hostname',
      "spec.containers[0].env[5].valueFrom.fieldRef: Invalid value: \"Not/a/Name\": a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
      'spec.containers[0].env[6].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"',
      'spec.containers[0].env[7].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
    ],
  ],
  [
    'resources',
    podWith({
      resources: {
        limits: { cpu: '1', foo: '1', 'example.com/gpu': '1500m', 'hugepages-2Mi': '4Mi' },
        requests: { cpu: '2', memory: '-1', 'example.com/nic': '1', 'hugepages-2Mi': '2Mi' },
      },
    }),
    [
      'spec.containers[0].resources.limits[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
      'spec.containers[0].resources.limits[foo]: Invalid value: "foo": must be a standard resource for containers',
      'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      'spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
      'spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources',
      'spec.containers[0].resources.requests: Invalid value: "2Mi": must be equal to hugepages-2Mi limit of 4Mi',
      'spec.containers[0].resources.requests[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
      'spec.containers[0].resources.requests[foo]: Invalid value: "foo": must be a standard resource for containers',
      'spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "1500m": must be an integer',
    ],
  ],
  [
    'probes',
    podWith({
      livenessProbe: { successThreshold: 2, tcpSocket: { port: 80 }, exec: { command: [] } },
      readinessProbe: { periodSeconds: -1, httpGet: { port: 'WEB', scheme: 'ftp' } },
      lifecycle: { postStart: {} },
    }),
    [
      'spec.containers[0].lifecycle.postStart: Required value: must specify a handler type',
      'spec.containers[0].livenessProbe.exec.command: Required value',
      'spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
      'spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1',
      'spec.containers[0].readinessProbe.httpGet.port: Invalid value: "WEB": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
      'spec.containers[0].readinessProbe.httpGet.port: Invalid value: "WEB": must contain at least one letter (a-z)',
      'spec.containers[0].readinessProbe.httpGet.scheme: Unsupported value: "ftp": supported values: "HTTP", "HTTPS"',
      'spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0',
    ],
  ],
  [
    'init containers',
    pod({
      initContainers: [
        { ...container, lifecycle: {} },
        { ...container, name: 's', restartPolicy: 'Always', readinessProbe: { exec: { command: ['a'] } } },
      ],
    }),
    [
      'spec.initContainers[0].name: Duplicate value: "c"',
      'spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always',
    ],
  ],
  [
    'security contexts',
    pod({
      securityContext: { runAsUser: -1, sysctls: [{ name: 'a b', value: '1' }], seccompProfile: { type: 'Localhost' } },
      containers: [{ ...container, securityContext: { privileged: true, allowPrivilegeEscalation: false } }],
    }),
    [
      'spec.containers[0].securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
      'spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive',
      'spec.securityContext.sysctls[0].name: Invalid value: "a b": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$',
      'spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost',
    ],
  ],
  [
    'tolerations and affinity',
    pod({
      tolerations: [
        { operator: 'Equal' },
        { key: 'a', effect: 'NoSchedule', tolerationSeconds: 1 },
        { key: 'a', operator: 'In' },
      ],
      affinity: {
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } },
        podAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 101, podAffinityTerm: { topologyKey: 'zone' } }],
        },
      },
    }),
    [
      'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term',
      'spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100',
      'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      'spec.tolerations[1].effect: Invalid value: "NoSchedule": effect must be \'NoExecute\' when `tolerationSeconds` is set',
      'spec.tolerations[2].operator: Unsupported value: "In": supported values: "Equal", "Exists"',
    ],
  ],
  [
    'host ports taken twice',
    pod({
      containers: [
        { ...container, ports: [{ containerPort: 80, hostPort: 8080 }] },
        { ...container, name: 'd', ports: [{ containerPort: 81, hostPort: 8080 }] },
      ],
    }),
    ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//8080"'],
  ],
  [
    'mirror pod without node',
    pod({}, { annotations: { 'kubernetes.io/config.mirror': 'x' } }),
    [
      'metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set',
    ],
  ],
  ['deployment', deployment({}), []],
  [
    'empty deployment',
    { apiVersion: 'apps/v1', kind: 'Deployment' },
    [
      'spec.selector: Required value',
      'spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`',
      'spec.template.spec.containers: Required value',
    ],
  ],
  [
    'deployment whose selector misses its pods',
    deployment({ selector: { matchLabels: { app: 'b' } } }),
    ['spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`'],
  ],
  [
    'deployment with an empty selector and bad numbers',
    deployment({
      selector: {},
      replicas: -1,
      minReadySeconds: 700,
      strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } },
      template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } },
    }),
    [
      'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      'spec.selector: Invalid value: {}: empty selector is invalid for deployment',
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
      'spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds',
    ],
  ],
  [
    'stateful set mounts its claims',
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      spec: {
        selector,
        template: {
          ...template,
          spec: { containers: [{ ...container, volumeMounts: [{ name: 'data', mountPath: '/d' }] }] },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ],
      },
    },
    [],
  ],
  [
    'daemon set without room to update',
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      spec: { selector, template, updateStrategy: { rollingUpdate: { maxUnavailable: 0 } } },
    },
    ['spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0'],
  ],
  ['job', job({}), []],
  [
    'job that always restarts',
    job({ template: { spec: { containers: [container] } }, completions: -1 }),
    [
      'spec.completions: Invalid value: -1: must be greater than or equal to 0',
      'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ],
  ],
  [
    'indexed job without completions',
    job({ completionMode: 'Indexed', parallelism: 2, backoffLimitPerIndex: 1 }),
    ['spec.completions: Required value: when completion mode is Indexed'],
  ],
  [
    'cron job',
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      spec: {
        schedule: '61 * * *',
        timeZone: 'Mars/Base',
        concurrencyPolicy: 'Maybe',
        jobTemplate: { spec: { template: { spec: { containers: [container], restartPolicy: 'Never' } } } },
      },
    },
    [
      'spec.schedule: Invalid value: "61 * * *": expected exactly 5 fields, found 4: [61 * * *]',
      'spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base',
      'spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"',
    ],
  ],
  ['service', service({}), []],
  ['service without ports', service({ ports: [] }), ['spec.ports: Required value']],
  ['headless service without ports', service({ ports: [], clusterIP: 'None', clusterIPs: ['None'] }), []],
  [
    'two ports need names and may not be one',
    service({ ports: [{ port: 80 }, { port: 80, name: 'b', nodePort: 30000 }] }),
    [
      'spec.ports[0].name: Required value',
      "spec.ports[1].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
      'spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}',
    ],
  ],
  [
    'service addresses',
    service({
      clusterIP: '10.0.0.300',
      clusterIPs: ['10.0.0.300'],
      externalIPs: ['127.0.0.1'],
      ipFamilies: ['IPv5'],
      type: 'Local',
    }),
    [
      'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"',
      'spec.clusterIPs[0]: Invalid value: "10.0.0.300": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      'spec.type: Unsupported value: "Local": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ],
  ],
  [
    'external name',
    {
      apiVersion: 'v1',
      kind: 'Service',
      spec: { type: 'ExternalName', clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'] },
    },
    ['spec.clusterIPs: Forbidden: may not be set for ExternalName services', 'spec.externalName: Required value'],
  ],
  [
    'load-balancer fields on another type',
    service({
      loadBalancerClass: 'x/y',
      allocateLoadBalancerNodePorts: true,
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 30001,
    }),
    [
      "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
      "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
      'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
      "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    ],
  ],
  [
    'config map keys',
    { apiVersion: 'v1', kind: 'ConfigMap', data: { 'a b': '1', '..': '2', c: '3' }, binaryData: { c: 'eA==' } },
    [
      "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      'data[..]: Invalid value: "..": must not be \'..\'',
      'data[c]: Invalid value: "c": duplicate of key present in binaryData',
    ],
  ],
  [
    'secret types',
    { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', data: {} },
    ['data[tls.crt]: Required value', 'data[tls.key]: Required value'],
  ],
  [
    'secret too large',
    { apiVersion: 'v1', kind: 'Secret', data: { a: Buffer.alloc(1024 * 1024 + 1).toString('base64') } },
    ['data: Too long: may not be more than 1048576 bytes'],
  ],
  [
    'endpoints that point at the node itself, however spelt',
    {
      apiVersion: 'v1',
      kind: 'Endpoints',
      subsets: [
        {
          addresses: [
            { ip: '127.0.0.1' },
            { ip: '169.254.169.254' },
            { ip: '::1' },
            { ip: 'fe80::1' },
            { ip: '::ffff:127.0.0.1' },
          ],
          ports: [{ port: 0 }],
        },
        {},
      ],
    },
    [
      'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      'subsets[0].addresses[1].ip: Invalid value: "169.254.169.254": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
      'subsets[0].addresses[2].ip: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      'subsets[0].addresses[3].ip: Invalid value: "fe80::1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
      'subsets[0].addresses[4].ip: Invalid value: "::ffff:127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      'subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
      'subsets[1]: Required value: must specify `addresses` or `notReadyAddresses`',
    ],
  ],
  [
    'endpoint slice',
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      addressType: 'IPv4',
      endpoints: [{ addresses: [] }, { addresses: ['fd00::1', '::ffff:a9fe:a9fe', '0.0.0.0'] }],
      ports: [{ port: 80 }, { port: 81 }, { name: 'longer-than-a-port-of-a-container', port: 82 }],
    },
    [
      'endpoints[0].addresses: Required value: must contain at least 1 address',
      'endpoints[1].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address',
      'endpoints[1].addresses[1]: Invalid value: "::ffff:a9fe:a9fe": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
      'endpoints[1].addresses[2]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
      'ports[1].name: Duplicate value: ""',
    ],
  ],
  [
    'event of another namespace',
    { apiVersion: 'v1', kind: 'Event', involvedObject: { namespace: 'other' } },
    ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
  ],
  [
    'roles',
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      rules: [{ nonResourceURLs: ['/x'] }, { verbs: ['get'] }],
    },
    [
      'rules[0].verbs: Required value: verbs must contain at least one value',
      'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
      'rules[1].apiGroups: Required value: resource rules must supply at least one api group',
      'rules[1].resources: Required value: resource rules must supply at least one resource',
    ],
  ],
  [
    'role binding',
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      roleRef: { kind: 'Role', name: '' },
      subjects: [
        { kind: 'ServiceAccount', name: 's' },
        { kind: 'Robot', name: 'r' },
      ],
    },
    [
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
      'roleRef.name: Required value',
      'subjects[0].namespace: Required value',
      'subjects[1].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
    ],
  ],
  [
    'ingress',
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      spec: {
        rules: [
          {
            host: '1.2.3.4',
            http: {
              paths: [
                { path: 'x', pathType: 'Prefix', backend: { service: { name: 's' } } },
                { path: '/', backend: {} },
              ],
            },
          },
          { host: '*.*.com', http: { paths: [] } },
        ],
      },
    },
    [
      'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
      'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
      'spec.rules[0].http.paths[0].backend: Required value: port name or number is required',
      'spec.rules[0].http.paths[1].pathType: Required value: pathType must be specified',
      "spec.rules[1].host: Invalid value: \"*.*.com\": a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      'spec.rules[1].http.paths: Required value',
    ],
  ],
  [
    'empty ingress',
    { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', spec: {} },
    ['spec: Invalid value: []: either `defaultBackend` or `rules` must be specified'],
  ],
  [
    'network policy',
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      spec: {
        podSelector: {},
        ingress: [
          {
            from: [{}, { ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16', '10.1.0.0/16'] } }],
            ports: [{ port: 80, endPort: 70 }],
          },
        ],
        policyTypes: ['Sideways'],
      },
    },
    [
      'spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`',
      'spec.ingress[0].from[0]: Required value: must specify a peer',
      'spec.ingress[0].from[1].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
      'spec.policyTypes[0]: Unsupported value: "Sideways": supported values: "Ingress", "Egress"',
    ],
  ],
  [
    'claim',
    { apiVersion: 'v1', kind: 'PersistentVolumeClaim', spec: { resources: { requests: { storage: '0' } } } },
    [
      'spec.accessModes: Required value: at least 1 access mode is required',
      'spec.resources[storage]: Invalid value: "0": must be greater than zero',
    ],
  ],
  [
    'volume',
    { apiVersion: 'v1', kind: 'PersistentVolume', spec: { accessModes: ['ReadWriteTwice'], local: { path: '/x' } } },
    [
      'spec.accessModes: Unsupported value: "ReadWriteTwice": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
      'spec.capacity: Required value',
      'spec.capacity: Unsupported value: {}: supported values: "storage"',
      'spec.nodeAffinity: Required value: Local volume requires node affinity',
    ],
  ],
  [
    'disruption budget',
    { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', spec: { minAvailable: 1, maxUnavailable: '110%' } },
    [
      'spec: Invalid value: {"minAvailable":1,"maxUnavailable":"110%"}: minAvailable and maxUnavailable cannot be both set',
      'spec.maxUnavailable: Invalid value: "110%": must not be greater than 100%',
    ],
  ],
  [
    'autoscaler',
    {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      spec: { minReplicas: 4, maxReplicas: 3, scaleTargetRef: { name: 'd' }, metrics: [{ type: 'Pods' }] },
    },
    [
      'spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`',
      'spec.scaleTargetRef.kind: Required value',
      'spec.metrics[0].pods: Required value: must populate information for the given metric source',
    ],
  ],
  [
    'priority class of the system',
    { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'system-mine' }, value: 1 },
    [
      "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class",
    ],
  ],
  [
    'priority too high',
    { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', value: 1000000001 },
    ['value: Forbidden: maximum allowed value of a user defined priority is 1000000000'],
  ],
  [
    'lease',
    { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', spec: { leaseDurationSeconds: 0 } },
    ['spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0'],
  ],
  [
    'limit range',
    {
      apiVersion: 'v1',
      kind: 'LimitRange',
      spec: { limits: [{ type: 'Pod', max: { cpu: '1' }, min: { cpu: '2' }, default: { cpu: '1' } }] },
    },
    [
      "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
      'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
    ],
  ],
  [
    'quota',
    {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      spec: { hard: { pods: '1500m', gpu: '1' }, scopes: ['BestEffort', 'NotBestEffort'] },
    },
    [
      'spec.hard[pods]: Invalid value: "1500m": must be an integer',
      'spec.hard[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
      'spec.hard[gpu]: Invalid value: "gpu": must be a standard resource for quota',
      'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: unsupported scope applied to resource',
      'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: unsupported scope applied to resource',
      'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes',
    ],
  ],
  [
    'webhook',
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      webhooks: [{ name: 'x.y', clientConfig: { url: 'http://u:p@h/?q' }, timeoutSeconds: 31 }],
    },
    [
      'webhooks[0].name: Invalid value: "x.y": should be a domain with at least three segments separated by dots',
      'webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun',
      'webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds',
      'webhooks[0].clientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme; desired format: https://host[/path]',
      'webhooks[0].clientConfig.url: Invalid value: "u:p": user information is not permitted in the URL',
      'webhooks[0].clientConfig.url: Invalid value: "q": query parameters are not permitted in the URL',
      'webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1',
    ],
  ],
  [
    'custom resource definition',
    {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'cats' },
      spec: {
        group: 'x',
        scope: 'World',
        names: { plural: 'cats', kind: 'Cat' },
        versions: [{ name: 'v1', served: true, storage: false }],
      },
    },
    [
      'metadata.name: Invalid value: "cats": must be spec.names.plural+"."+spec.group',
      'spec.group: Invalid value: "x": should be a domain with at least one dot',
      'spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"',
      'spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required',
      'spec.versions: Invalid value: [{"name":"v1","served":true,"storage":false}]: must have exactly one version marked as storage version',
      'status.storedVersions: Invalid value: []: must have at least one stored version',
    ],
  ],
];

for (const [title, sample, errors] of refused)
  test(`creation: ${title}`, () => {
    assert.deepEqual(creationErrors(sample), errors);
  });
