import { allContainers } from '../pod-containers.ts';
import type { PodCheck } from './check.ts';
import { capabilityFinding, found, isRelaxed, procMounts, seccompSetters } from './checks-baseline.ts';
import { containersText, distinct, plural, quoteAll } from './words.ts';

const volumeTypes: ReadonlySet<string> = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);

const isWindows = (spec: { readonly os?: { readonly name?: string } }): boolean => spec.os?.name === 'windows';

/** Restricted checks, listed after the baseline ones. */
export const restrictedChecks: readonly PodCheck[] = [
  {
    id: 'allowPrivilegeEscalation',
    since: 8,
    check({ spec }, minor) {
      if (minor >= 25 && isWindows(spec)) return undefined;
      const bad = allContainers(spec).filter(
        ({ container }) => container.securityContext?.allowPrivilegeEscalation !== false,
      );
      return found(
        'allowPrivilegeEscalation != false',
        bad.length === 0
          ? ''
          : `${containersText(bad.map(({ container }) => container.name))} must set securityContext.allowPrivilegeEscalation=false`,
      );
    },
  },
  {
    id: 'capabilities_restricted',
    since: 22,
    overrides: ['capabilities_baseline'],
    check({ spec }, minor) {
      if (minor >= 25 && isWindows(spec)) return undefined;
      const containers = allContainers(spec).map(({ container }) => ({
        name: container.name,
        capabilities: container.securityContext?.capabilities,
      }));
      const keeping = containers.filter((one) => !(one.capabilities?.drop ?? []).includes('ALL'));
      const details =
        keeping.length === 0
          ? []
          : [`${containersText(keeping.map((one) => one.name))} must set securityContext.capabilities.drop=["ALL"]`];
      const adding = capabilityFinding(
        '',
        containers.map((one) => ({
          name: one.name,
          added: (one.capabilities?.add ?? []).filter((added) => added !== 'NET_BIND_SERVICE'),
        })),
      );
      if (adding !== undefined) details.push(adding.detail);
      return found('unrestricted capabilities', details.join('; '));
    },
  },
  {
    id: 'procMount_restricted',
    since: 35,
    overrides: ['procMount'],
    check: procMounts,
  },
  {
    id: 'restrictedVolumes',
    overrides: ['hostPathVolumes'],
    check({ spec }) {
      const bad = (spec.volumes ?? []).flatMap((volume) => {
        const types = Object.keys(volume).filter(
          (key) => key !== 'name' && (volume as unknown as Record<string, unknown>)[key] !== undefined,
        );
        return types.length === 0 || types.every((type) => volumeTypes.has(type))
          ? []
          : [{ name: volume.name, types: types.filter((type) => !volumeTypes.has(type)) }];
      });
      if (bad.length === 0) return undefined;
      const types = distinct(bad.flatMap((one) => one.types));
      const count = bad.length;
      return found(
        'restricted volume types',
        `${plural('volume', 'volumes', count)} ${quoteAll(bad.map((one) => one.name))} ${plural('uses', 'use', count)} restricted volume ${plural('type', 'types', types.length)} ${quoteAll(types)}`,
      );
    },
  },
  {
    id: 'runAsNonRoot',
    check(pod, minor) {
      if (isRelaxed(pod, minor)) return undefined;
      const { spec } = pod;
      const own = spec.securityContext?.runAsNonRoot;
      const setters = own === false ? ['pod'] : [];
      const containers = allContainers(spec).map(({ container }) => ({
        name: container.name,
        set: container.securityContext?.runAsNonRoot,
      }));
      const explicit = containers.filter((one) => one.set === false);
      if (explicit.length > 0) setters.push(containersText(explicit.map((one) => one.name)));
      if (setters.length > 0)
        return found(
          'runAsNonRoot != true',
          `${setters.join(' and ')} must not set securityContext.runAsNonRoot=false`,
        );
      const implicit = own === true ? [] : containers.filter((one) => one.set === undefined);
      return found(
        'runAsNonRoot != true',
        implicit.length === 0
          ? ''
          : `pod or ${containersText(implicit.map((one) => one.name))} must set securityContext.runAsNonRoot=true`,
      );
    },
  },
  {
    id: 'runAsUser',
    since: 23,
    check(pod, minor) {
      if (isRelaxed(pod, minor)) return undefined;
      const { spec } = pod;
      const setters = spec.securityContext?.runAsUser === 0 ? ['pod'] : [];
      const bad = allContainers(spec).filter(({ container }) => container.securityContext?.runAsUser === 0);
      if (bad.length > 0) setters.push(containersText(bad.map(({ container }) => container.name)));
      return found('runAsUser=0', setters.length === 0 ? '' : `${setters.join(' and ')} must not set runAsUser=0`);
    },
  },
  {
    id: 'seccompProfile_restricted',
    since: 19,
    overrides: ['seccompProfile_baseline'],
    check({ spec }, minor) {
      if (minor >= 25 && isWindows(spec)) return undefined;
      const explicit = seccompSetters(spec);
      if (explicit !== undefined) return explicit;
      if (spec.securityContext?.seccompProfile?.type !== undefined) return undefined;
      const bad = allContainers(spec).filter(
        ({ container }) => container.securityContext?.seccompProfile?.type === undefined,
      );
      return found(
        'seccompProfile',
        bad.length === 0
          ? ''
          : `pod or ${containersText(bad.map(({ container }) => container.name))} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
      );
    },
  },
];
