import type { Node } from '#api';
import { nodeAddress } from '#kinds';
import { errBadRequest, errInternal, errNotFound } from '#machinery';
import type { ServerObjects } from '../contract.ts';
import { type Backend, isProxyable } from './backend.ts';

export interface KubeletClientOptions {
  /** PEM of the authority of kubelets' serving certificates. Absent: they are not verified. */
  readonly ca?: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** Tests: kubelets may listen on loopback addresses. */
  readonly allowLoopback?: boolean;
}

const defaultPort = 10250;
const preferred = ['InternalIP', 'ExternalIP', 'Hostname'] as const;

/** Finds and authenticates to kubelets, where their Node objects say they are. */
export class KubeletDirectory {
  readonly #objects: ServerObjects;
  readonly #options: KubeletClientOptions;

  constructor(objects: ServerObjects, options: KubeletClientOptions) {
    this.#objects = objects;
    this.#options = options;
  }

  get allowLoopback(): boolean {
    return this.#options.allowLoopback === true;
  }

  async backend(nodeName: string, target: string): Promise<Backend> {
    const nodes = this.#objects.view('v1', 'nodes');
    await nodes.current();
    const node = nodes.get(undefined, nodeName) as unknown as Node | undefined;
    if (node === undefined) throw errNotFound({ group: '', plural: 'nodes' }, nodeName);
    const host = this.#address(node);
    const { ca, clientCert, clientKey } = this.#options;
    return {
      scheme: 'https',
      host,
      port: node.status?.daemonEndpoints?.kubeletEndpoint?.Port || defaultPort,
      target,
      refuseRedirects: true,
      tls: { ...(ca === undefined ? { rejectUnauthorized: false } : { ca }), cert: clientCert, key: clientKey },
    };
  }

  #address(node: Node): string {
    for (const type of preferred) {
      const address = nodeAddress(node, type);
      if (address === undefined || address === '') continue;
      if (isProxyable(address) || this.allowLoopback) return address;
      throw errBadRequest(`address not allowed`);
    }
    throw errInternal(`no preferred addresses found; known addresses: []`);
  }
}
