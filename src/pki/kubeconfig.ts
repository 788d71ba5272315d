export interface KubeconfigOptions {
  readonly server: string;
  /** PEM bundle of the authority that signed the server's certificate. */
  readonly ca: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  /** Files instead of texts, for credentials that are renewed. */
  readonly clientCertFile?: string;
  readonly clientKeyFile?: string;
  readonly token?: string;
  readonly clusterName?: string;
  readonly user?: string;
  readonly context?: string;
  readonly namespace?: string;
}

/** A kubeconfig with one cluster, one user and one context, everything embedded. It holds a key: write it with mode 0600. */
export function kubeconfigOf(options: KubeconfigOptions): string {
  const { clusterName = 'kubernetes', user = 'kubernetes-admin' } = options;
  const context = options.context ?? `${user}@${clusterName}`;
  const line = (indent: number, key: string, value: string): string =>
    `${' '.repeat(indent)}${key}: ${quoted(value)}\n`;
  const encoded = (indent: number, key: string, pem: string): string =>
    line(indent, key, Buffer.from(pem).toString('base64'));
  const credentials =
    (options.clientCert === undefined ? '' : encoded(4, 'client-certificate-data', options.clientCert)) +
    (options.clientCertFile === undefined ? '' : line(4, 'client-certificate', options.clientCertFile)) +
    (options.clientKeyFile === undefined ? '' : line(4, 'client-key', options.clientKeyFile)) +
    (options.clientKey === undefined ? '' : encoded(4, 'client-key-data', options.clientKey)) +
    (options.token === undefined ? '' : line(4, 'token', options.token));
  return (
    `apiVersion: v1\nclusters:\n- cluster:\n${encoded(4, 'certificate-authority-data', options.ca)}${line(4, 'server', options.server)}` +
    `${line(2, 'name', clusterName)}contexts:\n- context:\n${line(4, 'cluster', clusterName)}` +
    `${options.namespace === undefined ? '' : line(4, 'namespace', options.namespace)}${line(4, 'user', user)}${line(2, 'name', context)}` +
    `${line(0, 'current-context', context)}kind: Config\npreferences: {}\nusers:\n${line(0, '- name', user)}` +
    `${credentials === '' ? '  user: {}\n' : `  user:\n${credentials}`}`
  );
}

/** Plain where YAML reads it back as the same string, else JSON's quotes, which YAML knows too. */
function quoted(value: string): string {
  return /^[A-Za-z][A-Za-z0-9+/=._@:-]*$/.test(value) &&
    !/:$/.test(value) &&
    !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value)
    ? value
    : JSON.stringify(value);
}
