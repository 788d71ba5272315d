import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { resource, type Secret } from '#api';
import { type Clock, type Log, messageOf } from '#base';
import type { Informer, Informers } from '#client';
import { createAuthority, issueCertificate } from '#pki';
import type { CertificatePlan } from './plan-ingress.ts';
import { wildcardOf } from './route-table.ts';

const secrets = resource('v1', 'secrets');

export interface CertificateProblem {
  readonly ingress: string;
  readonly reason: 'SecretNotFound' | 'SecretInvalid' | 'CertificateExpired' | 'CertificateMismatch';
  readonly message: string;
}

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

interface BuiltIn {
  readonly pair: KeyPair;
  readonly context: SecureContext;
}

interface Held {
  readonly informer: Informer<Secret>;
  readonly end: () => void;
  context: SecureContext | undefined;
  pair: KeyPair | undefined;
  leaf: X509Certificate | undefined;
  trouble: string | undefined;
}

/**
 * Certificates by host, from Secrets that Ingresses name: each is watched by itself, no other Secret is ever read. A changed Secret
 * counts from the next handshake on; one that is unreadable leaves the last good certificate in place.
 */
export class Certificates {
  readonly #informers: Informers;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onChange: () => void;
  readonly #held = new Map<string, Held>();
  #hosts = new Map<string, Held>();
  #plans: readonly CertificatePlan[] = [];
  #builtIn: BuiltIn | undefined;

  constructor(options: {
    readonly informers: Informers;
    readonly clock: Clock;
    readonly log: Log;
    /** What `problems` says may be another. */
    readonly onChange: () => void;
  }) {
    this.#informers = options.informers;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onChange = options.onChange;
  }

  update(plans: readonly CertificatePlan[]): void {
    this.#plans = plans;
    const wanted = new Set<string>();
    const hosts = new Map<string, Held>();
    for (const { host, namespace, secret } of plans) {
      const key = `${namespace}/${secret}`;
      wanted.add(key);
      hosts.set(host, this.#hold(key, namespace, secret));
    }
    this.#hosts = hosts;
    for (const [key, held] of this.#held) {
      if (wanted.has(key)) continue;
      held.end();
      held.informer.close();
      this.#held.delete(key);
    }
  }

  /** For a name asked for in a handshake; the built-in certificate where there is no other. */
  contextOf(serverName: string): SecureContext {
    const host = serverName.toLowerCase();
    const held = this.#hosts.get(host) ?? this.#hosts.get(wildcardOf(host)) ?? this.#hosts.get('');
    return held?.context ?? this.#builtInContext();
  }

  /** For clients that name no host. */
  get withoutName(): KeyPair {
    return this.#hosts.get('')?.pair ?? this.#builtInPair();
  }

  /** Resolves when every Secret named so far was looked at. */
  async synced(): Promise<void> {
    await Promise.all([...this.#held.values()].map((one) => one.informer.synced));
  }

  problems(): CertificateProblem[] {
    const found: CertificateProblem[] = [];
    for (const { host, namespace, secret, ingress } of this.#plans) {
      const held = this.#held.get(`${namespace}/${secret}`);
      if (held === undefined || !held.informer.hasSynced) continue;
      if (held.informer.get(namespace, secret) === undefined)
        found.push({
          ingress,
          reason: 'SecretNotFound',
          message: `Secret ${secret} is not there: ${host || 'TLS'} is served with the built-in certificate until it is`,
        });
      else if (held.trouble !== undefined)
        found.push({ ingress, reason: 'SecretInvalid', message: `Secret ${secret} cannot be used: ${held.trouble}` });
      else if (held.leaf !== undefined && held.leaf.validToDate.getTime() < this.#clock.nowMs())
        found.push({
          ingress,
          reason: 'CertificateExpired',
          message: `the certificate in Secret ${secret} expired on ${held.leaf.validTo}; clients will refuse it`,
        });
      else if (held.leaf !== undefined && host !== '' && !covers(held.leaf, host))
        found.push({
          ingress,
          reason: 'CertificateMismatch',
          message: `the certificate in Secret ${secret} is not for ${host}; clients will refuse it`,
        });
    }
    return found;
  }

  close(): void {
    for (const { end, informer } of this.#held.values()) {
      end();
      informer.close();
    }
    this.#held.clear();
    this.#hosts.clear();
  }

  #hold(key: string, namespace: string, name: string): Held {
    const known = this.#held.get(key);
    if (known !== undefined) return known;
    const informer = this.#informers.of<Secret>(secrets, { namespace, fieldSelector: `metadata.name=${name}` });
    const held: Held = {
      informer,
      end: () => end(),
      context: undefined,
      pair: undefined,
      leaf: undefined,
      trouble: undefined,
    };
    this.#held.set(key, held);
    const end = informer.onChange(({ type, object }) => {
      if (object.metadata.name !== name) return;
      if (type === 'deleted') {
        held.context = undefined;
        held.pair = undefined;
        held.leaf = undefined;
        held.trouble = undefined;
      } else this.#read(held, object, key);
      this.#onChange();
    });
    void informer.synced.then(this.#onChange);
    return held;
  }

  #read(held: Held, secret: Secret, key: string): void {
    try {
      const cert = decoded(secret, 'tls.crt');
      const privateKey = decoded(secret, 'tls.key');
      const leaf = new X509Certificate(cert);
      held.context = createSecureContext({ cert, key: privateKey, minVersion: 'TLSv1.2' });
      held.pair = { cert, key: privateKey };
      held.leaf = leaf;
      held.trouble = undefined;
    } catch (error) {
      // What OpenSSL says of a key is a code and the name of a routine, never its text.
      held.trouble = messageOf(error).slice(0, 200);
      this.#log.warn({ secret: key, error: held.trouble }, 'a certificate cannot be used');
    }
  }

  #builtInPair(): KeyPair {
    if (this.#builtIn === undefined) {
      const nowMs = this.#clock.nowMs();
      const commonName = 'k8ts Ingress built-in certificate';
      const authority = createAuthority({ commonName, days: 3650, nowMs });
      const issued = issueCertificate(authority, {
        commonName,
        usages: ['server'],
        dnsNames: ['ingress.local'],
        days: 3650,
        nowMs,
      });
      const pair = { cert: issued.certificatePem, key: issued.keyPem };
      this.#builtIn = { pair, context: createSecureContext({ ...pair, minVersion: 'TLSv1.2' }) };
    }
    return this.#builtIn.pair;
  }

  #builtInContext(): SecureContext {
    this.#builtInPair();
    return (this.#builtIn as BuiltIn).context;
  }
}

function decoded(secret: Secret, name: string): string {
  const value = secret.data !== undefined && Object.hasOwn(secret.data, name) ? secret.data[name] : undefined;
  if (typeof value !== 'string' || value === '') throw new Error(`it has no ${name}`);
  return Buffer.from(value, 'base64').toString('utf8');
}

/** A wildcard host needs a certificate for the wildcard; checked with a name that only it could match. */
function covers(leaf: X509Certificate, host: string): boolean {
  const name = host.startsWith('*.') ? `any-label-at-all${host.slice(1)}` : host;
  return leaf.checkHost(name) !== undefined;
}
