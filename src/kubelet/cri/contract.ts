/**
 * The messages of the Container Runtime Interface v1 that the kubelet uses, with their names on the wire. Only fields that are
 * read or written here are listed; an absent field is its zero value.
 */
export interface SandboxMetadata {
  name: string;
  uid: string;
  namespace: string;
  attempt: number;
}

export type NamespaceMode = 'POD' | 'CONTAINER' | 'NODE' | 'TARGET';

export interface NamespaceOption {
  network?: NamespaceMode;
  pid?: NamespaceMode;
  ipc?: NamespaceMode;
  target_id?: string;
}

export interface SecurityProfile {
  profile_type: 'RuntimeDefault' | 'Unconfined' | 'Localhost';
  localhost_ref?: string;
}

export interface SelinuxOption {
  user?: string;
  role?: string;
  type?: string;
  level?: string;
}

export interface Int64Value {
  value: number;
}

export interface LinuxResources {
  cpu_period?: number;
  cpu_quota?: number;
  cpu_shares?: number;
  memory_limit_in_bytes?: number;
  memory_swap_limit_in_bytes?: number;
  oom_score_adj?: number;
  unified?: Record<string, string>;
}

export interface SandboxConfig {
  metadata: SandboxMetadata;
  hostname?: string;
  log_directory: string;
  dns_config?: { servers: string[]; searches: string[]; options: string[] };
  port_mappings?: { protocol: 'TCP' | 'UDP' | 'SCTP'; container_port: number; host_port: number; host_ip?: string }[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  linux: {
    cgroup_parent?: string;
    security_context: {
      namespace_options: NamespaceOption;
      selinux_options?: SelinuxOption;
      run_as_user?: Int64Value;
      run_as_group?: Int64Value;
      supplemental_groups?: number[];
      privileged?: boolean;
      seccomp?: SecurityProfile;
    };
    sysctls?: Record<string, string>;
    overhead?: LinuxResources;
    resources?: LinuxResources;
  };
}

export interface MountConfig {
  container_path: string;
  host_path: string;
  readonly?: boolean;
  propagation?: 'PROPAGATION_PRIVATE' | 'PROPAGATION_HOST_TO_CONTAINER' | 'PROPAGATION_BIDIRECTIONAL';
  recursive_read_only?: boolean;
}

export interface ContainerSecurity {
  capabilities?: { add_capabilities?: string[]; drop_capabilities?: string[] };
  privileged?: boolean;
  namespace_options: NamespaceOption;
  selinux_options?: SelinuxOption;
  run_as_user?: Int64Value;
  run_as_group?: Int64Value;
  run_as_username?: string;
  readonly_rootfs?: boolean;
  supplemental_groups?: number[];
  supplemental_groups_policy?: 'Merge' | 'Strict';
  no_new_privs?: boolean;
  masked_paths?: string[];
  readonly_paths?: string[];
  seccomp?: SecurityProfile;
  apparmor?: SecurityProfile;
}

export interface ImageSpec {
  image: string;
  annotations?: Record<string, string>;
  user_specified_image?: string;
}

export interface ContainerConfig {
  metadata: { name: string; attempt: number };
  image: ImageSpec;
  command: string[];
  args: string[];
  working_dir?: string;
  envs: { key: string; value: Uint8Array }[];
  mounts: MountConfig[];
  devices?: { container_path: string; host_path: string; permissions: string }[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  log_path: string;
  stdin?: boolean;
  stdin_once?: boolean;
  tty?: boolean;
  linux: { resources: LinuxResources; security_context: ContainerSecurity };
  stop_signal?: string;
}

export interface Sandbox {
  id: string;
  metadata: SandboxMetadata;
  state: 'SANDBOX_READY' | 'SANDBOX_NOTREADY';
  /** Nanoseconds since 1970, as every time of the CRI. */
  created_at: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface SandboxStatus extends Sandbox {
  network?: { ip: string; additional_ips: { ip: string }[] };
}

export type ContainerStateName = 'CONTAINER_CREATED' | 'CONTAINER_RUNNING' | 'CONTAINER_EXITED' | 'CONTAINER_UNKNOWN';

export interface ListedContainer {
  id: string;
  pod_sandbox_id: string;
  metadata: { name: string; attempt: number };
  image?: ImageSpec;
  image_ref: string;
  state: ContainerStateName;
  created_at: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface ContainerStatus {
  id: string;
  metadata: { name: string; attempt: number };
  state: ContainerStateName;
  created_at: number;
  started_at: number;
  finished_at: number;
  exit_code: number;
  image?: ImageSpec;
  image_ref: string;
  reason: string;
  message: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  log_path: string;
  user?: { linux?: { uid: number; gid: number; supplemental_groups: number[] } };
}

export interface Image {
  id: string;
  repo_tags: string[];
  repo_digests: string[];
  size: number;
  uid?: Int64Value;
  username: string;
  pinned: boolean;
}

export interface RegistryAuth {
  username?: string;
  password?: string;
  auth?: string;
  server_address?: string;
  identity_token?: string;
  registry_token?: string;
}

export interface RuntimeCondition {
  type: string;
  status: boolean;
  reason: string;
  message: string;
}

export interface ContainerStats {
  attributes: { id: string; metadata: { name: string; attempt: number }; labels: Record<string, string> };
  cpu?: { timestamp: number; usage_core_nano_seconds?: Int64Value; usage_nano_cores?: Int64Value };
  memory?: {
    timestamp: number;
    working_set_bytes?: Int64Value;
    available_bytes?: Int64Value;
    usage_bytes?: Int64Value;
    rss_bytes?: Int64Value;
    page_faults?: Int64Value;
    major_page_faults?: Int64Value;
  };
  writable_layer?: { timestamp: number; used_bytes?: Int64Value; inodes_used?: Int64Value };
}

export interface FilesystemUsage {
  fs_id?: { mountpoint: string };
  used_bytes?: Int64Value;
  inodes_used?: Int64Value;
}

/** Something happened to a container or sandbox: look again. The pod's uid where the runtime says it. */
export interface RuntimeEvent {
  readonly containerId: string;
  readonly podUid?: string;
  /** It began to run, which the kubelet mostly brought about itself; otherwise something ended. */
  readonly started?: boolean;
}

/**
 * A container runtime over CRI v1. Every call has a time limit and fails with `CriError`, whose `code` is the gRPC status name.
 */
export interface Cri {
  version(): Promise<{ runtime_name: string; runtime_version: string; runtime_api_version: string }>;
  status(): Promise<RuntimeCondition[]>;
  /** Makes and starts a sandbox; resolves with its id. */
  runPodSandbox(config: SandboxConfig, runtimeHandler?: string): Promise<string>;
  stopPodSandbox(id: string): Promise<void>;
  removePodSandbox(id: string): Promise<void>;
  podSandboxStatus(id: string): Promise<SandboxStatus>;
  listPodSandboxes(filter?: { podUid?: string }): Promise<Sandbox[]>;
  createContainer(sandboxId: string, config: ContainerConfig, sandbox: SandboxConfig): Promise<string>;
  startContainer(id: string): Promise<void>;
  /** SIGTERM, then SIGKILL after `graceSeconds`; resolves when the container has stopped. */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  removeContainer(id: string): Promise<void>;
  listContainers(filter?: { podUid?: string }): Promise<ListedContainer[]>;
  containerStatus(id: string): Promise<ContainerStatus>;
  updateContainerResources(id: string, resources: LinuxResources): Promise<void>;
  reopenContainerLog(id: string): Promise<void>;
  /** Runs a command to its end; output is whatever the runtime keeps of it. Fails with DEADLINE_EXCEEDED past `timeoutSeconds`. */
  execSync(
    id: string,
    command: readonly string[],
    timeoutSeconds: number,
  ): Promise<{ stdout: Uint8Array; stderr: Uint8Array; exit_code: number }>;
  /** URLs of the runtime's streaming server. */
  execUrl(request: ExecRequest): Promise<string>;
  attachUrl(request: Omit<ExecRequest, 'cmd'>): Promise<string>;
  portForwardUrl(sandboxId: string, ports: readonly number[]): Promise<string>;
  /** Undefined when the image is not there. */
  imageStatus(image: string): Promise<Image | undefined>;
  listImages(): Promise<Image[]>;
  pullImage(image: string, auth: RegistryAuth | undefined, sandbox: SandboxConfig | undefined): Promise<string>;
  removeImage(image: string): Promise<void>;
  imageFsInfo(): Promise<FilesystemUsage[]>;
  listContainerStats(): Promise<ContainerStats[]>;
  /** Events until the signal aborts, reconnecting by itself; a runtime without any stays silent. */
  watchEvents(onEvent: (event: RuntimeEvent) => void, signal: AbortSignal): void;
  close(): void;
}

export interface ExecRequest {
  container_id: string;
  cmd: readonly string[];
  tty: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
}
