import { type Clock, type Closable, type Log, messageOf, type Timer } from '#base';
import { type ClusterPki, type ClusterPkiOptions, openClusterPki } from '#pki';

/** A cluster's PKI whose certificates are renewed while it is used. */
export interface RenewedPki extends ClusterPki, Closable {
  /** Calls `listener` whenever certificates have changed. */
  onChange(listener: () => void): void;
}

const lookEveryMs = 6 * 3_600_000;

/**
 * Opens a cluster's PKI and keeps it valid: certificates in the last third of their life are issued again, and those that someone
 * else has issued (`k8ts certs renew`) are loaded: every six hours, and at SIGHUP.
 */
export function openRenewedPki(options: ClusterPkiOptions & { readonly log: Log }): RenewedPki {
  const { clock, log } = options;
  let current = openClusterPki(options);
  const listeners: (() => void)[] = [];
  const look = (): void => {
    try {
      const before = fingerprintOf(current);
      current = openClusterPki(options);
      if (fingerprintOf(current) === before) return;
      log.info({}, 'certificates were renewed and are in use');
      for (const listener of listeners) listener();
    } catch (error) {
      log.error({ error: messageOf(error) }, 'certificates could not be renewed; tried again later');
    }
  };
  let timer: Timer;
  const schedule = (): void => {
    timer = clock.setTimer(() => {
      look();
      schedule();
    }, lookEveryMs);
  };
  schedule();
  process.on('SIGHUP', look);
  return {
    ca: current.ca,
    frontProxyCa: current.frontProxyCa,
    ...(current.etcdCa === undefined ? {} : { etcdCa: current.etcdCa }),
    serviceAccountKey: current.serviceAccountKey,
    serviceAccountPublicKeys: current.serviceAccountPublicKeys,
    credential: (name) => current.credential(name),
    issue: (request) => current.issue(request),
    renew: (which) => current.renew(which),
    expiry: () => current.expiry(),
    onChange: (listener) => void listeners.push(listener),
    async close() {
      timer.cancel();
      process.removeListener('SIGHUP', look);
    },
  };
}

function fingerprintOf(pki: ClusterPki): string {
  return pki
    .expiry()
    .filter((one) => !one.isAuthority)
    .map((one) => pki.credential(one.name as Parameters<ClusterPki['credential']>[0]).certificatePem)
    .join('');
}
