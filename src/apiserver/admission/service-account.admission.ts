import type { AnyObject, Pod, PodSpec, ServiceAccount, Volume, VolumeMount } from '#api';
import { goQuote } from '#machinery';
import { podReferences } from '../authz/pod-references.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';
import { refuse } from './refuse.ts';

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const volumePrefix = 'kube-api-access-';
const tokenSeconds = 3607;
const patienceMs = 2_000;
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const enforceAnnotation = 'kubernetes.io/enforce-mountable-secrets';

/** Every pod runs as a service account of its namespace: `default` unless it names one; its token, CA and namespace are mounted. */
export function serviceAccount({ objects, random, clock }: AdmissionOptions): AdmissionPlugin {
  const view = objects.view('v1', 'serviceaccounts');

  const addToken = (spec: PodSpec): void => {
    const known = (spec.volumes ?? []).find((one) => one.name.startsWith(volumePrefix));
    const name = known?.name ?? `${volumePrefix}${random.suffix(5)}`;
    let mounted = false;
    for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
      const mounts: VolumeMount[] = container.volumeMounts ?? [];
      if (mounts.some((one) => one.mountPath === mountPath)) continue;
      container.volumeMounts = [...mounts, { name, readOnly: true, mountPath }];
      mounted = true;
    }
    if (known === undefined && mounted) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
  };

  /** The default account of a namespace made a moment ago is about to come: it is waited for. */
  const awaited = (find: () => ServiceAccount | undefined): Promise<ServiceAccount | undefined> => {
    return new Promise((resolve) => {
      const timer = clock.setTimer(() => end(undefined), patienceMs);
      const forget = view.onChange(() => {
        const come = find();
        if (come !== undefined) end(come);
      });
      const end = (account: ServiceAccount | undefined): void => {
        timer.cancel();
        forget();
        resolve(account);
      };
    });
  };

  const apply = (attributes: AdmissionAttributes, account: ServiceAccount | undefined): void => {
    const { spec } = attributes.object as unknown as Pod;
    if (spec === undefined) return;
    const name = spec.serviceAccountName as string;
    if (account === undefined) {
      throw refuse(
        attributes,
        `error looking up service account ${attributes.namespace}/${name}: serviceaccount ${goQuote(name)} not found`,
      );
    }
    if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) addToken(spec);
    if ((spec.imagePullSecrets ?? []).length === 0 && (account.imagePullSecrets ?? []).length > 0) {
      spec.imagePullSecrets = (account.imagePullSecrets ?? []).map((one) => ({ ...one }));
    }
  };

  return {
    name: 'ServiceAccount',
    handles: (operation, definition, subresource) =>
      definition?.resource.plural === 'pods' &&
      definition.resource.group === '' &&
      ((operation === 'CREATE' && subresource === '') ||
        (operation === 'UPDATE' && subresource === 'ephemeralcontainers')),
    mutate(attributes) {
      const pod = attributes.object as unknown as Pod;
      if (attributes.operation !== 'CREATE' || pod.spec === undefined || isMirror(pod)) return undefined;
      if ((pod.spec.serviceAccountName ?? '') === '') pod.spec.serviceAccountName = 'default';
      const name = pod.spec.serviceAccountName as string;
      pod.spec.serviceAccount = name;
      const find = (): ServiceAccount | undefined =>
        view.get(attributes.namespace, name) as unknown as ServiceAccount | undefined;
      const found = view.isReady ? find() : undefined;
      if (found !== undefined) return apply(attributes, found);
      return view.ready
        .then(() => view.current())
        .then(() => find() ?? (name === 'default' ? awaited(find) : undefined))
        .then((account) => apply(attributes, account));
    },
    validate(attributes) {
      const pod = attributes.object as unknown as Pod;
      if (isMirror(pod)) return checkMirror(attributes, pod);
      const account = view.get(attributes.namespace, pod.spec?.serviceAccountName ?? '') as unknown as
        | ServiceAccount
        | undefined;
      if (account?.metadata.annotations?.[enforceAnnotation] === 'true') checkMountable(attributes, pod, account);
    },
  };
}

const isMirror = (pod: Pod): boolean =>
  pod.metadata.annotations !== undefined && Object.hasOwn(pod.metadata.annotations, mirrorAnnotation);

/** A pod from a node's own files may hold nothing that the API gives out. */
function checkMirror(attributes: AdmissionAttributes, pod: Pod): void {
  if ((pod.spec?.serviceAccountName ?? '') !== '')
    throw refuse(attributes, 'a mirror pod may not reference service accounts');
  if (podReferences(pod as unknown as AnyObject).some((one) => one.resource === 'secrets'))
    throw refuse(attributes, 'a mirror pod may not reference secrets');
  const projected = (pod.spec?.volumes ?? []).flatMap((one) => one.projected?.sources ?? []);
  if (projected.some((one) => one.serviceAccountToken !== undefined))
    throw refuse(attributes, 'a mirror pod may not use ServiceAccountToken volume projections');
}

function checkMountable(attributes: AdmissionAttributes, pod: Pod, account: ServiceAccount): void {
  const allowed = new Set([...(account.secrets ?? []), ...(account.imagePullSecrets ?? [])].map((one) => one.name));
  for (const { resource, name } of podReferences(pod as unknown as AnyObject)) {
    if (resource === 'secrets' && !allowed.has(name)) {
      throw refuse(
        attributes,
        `secret ${goQuote(name)} is not allowed because service account ${account.metadata.name} does not reference that secret`,
      );
    }
  }
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  };
}
