import type { Node } from '#api';
import { nodeAddress } from '#kinds';
import { errBadRequest, errForbidden, errInternal, errNotFound } from '#machinery';
import { parseCertificate } from '#pki';
import type { Identity } from '#wire';
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
  #own: { readonly pem: string; readonly user: string } | undefined;

  constructor(objects: ServerObjects, options: KubeletClientOptions) {
    this.#objects = objects;
    this.#options = options;
  }

  get allowLoopback(): boolean {
    return this.#options.allowLoopback === true;
  }

  /**
   * Where a node's kubelet is asked for `target`, for `identity` (absent: for this server). 403 when it is the identity with which kubelets
   * are asked itself (and not an administrator's besides): the address of some Node leads to an API server then, and from there on to every kubelet.
   */
  async backend(nodeName: string, target: string, identity?: Identity): Promise<Backend> {
    const isOwn = identity !== undefined && identity.user === this.#ownUser();
    if (isOwn && !identity.groups.includes('system:masters'))
      throw errForbidden({ group: '', plural: 'nodes' }, nodeName, 'this identity asks kubelets, not API servers');
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

  #ownUser(): string {
    const pem = this.#options.clientCert;
    if (this.#own?.pem !== pem) this.#own = { pem, user: parseCertificate(pem).subject.commonName };
    return this.#own.user;
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
