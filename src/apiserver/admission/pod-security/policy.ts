/** The three profiles of the Pod Security Standards, from lax to strict. */
export type PodSecurityLevel = 'privileged' | 'baseline' | 'restricted';

export interface LevelVersion {
  readonly level: PodSecurityLevel;
  /** `latest` or `v1.N`: whose standards count. */
  readonly version: string;
}

export interface PodSecurityDefaults {
  readonly enforce: PodSecurityLevel;
  readonly warn: PodSecurityLevel;
  readonly audit: PodSecurityLevel;
}

export interface NamespacePolicy {
  readonly enforce: LevelVersion;
  readonly warn: LevelVersion;
  readonly audit: LevelVersion;
}

export const labelPrefix = 'pod-security.kubernetes.io/';
export const modes = ['enforce', 'audit', 'warn'] as const;
export const levels: readonly PodSecurityLevel[] = ['privileged', 'baseline', 'restricted'];

const versionForm = /^(latest|v1\.(0|[1-9]\d{0,3}))$/;

export const isLevel = (text: string): text is PodSecurityLevel => (levels as readonly string[]).includes(text);
export const isVersion = (text: string): boolean => versionForm.test(text);

/** What a namespace's labels ask for; a label that makes no sense counts as the strictest level. */
export function namespacePolicy(
  labels: Readonly<Record<string, string>> | undefined,
  defaults: PodSecurityDefaults,
): NamespacePolicy {
  const of = (mode: (typeof modes)[number]): LevelVersion => {
    const level = labels?.[`${labelPrefix}${mode}`];
    const version = labels?.[`${labelPrefix}${mode}-version`];
    return {
      level: level === undefined ? defaults[mode] : isLevel(level) ? level : 'restricted',
      version: version !== undefined && isVersion(version) ? version : 'latest',
    };
  };
  return { enforce: of('enforce'), warn: of('warn'), audit: of('audit') };
}

export const levelText = ({ level, version }: LevelVersion): string => `${level}:${version}`;
