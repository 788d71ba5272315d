/** Where one node's containerd keeps what, and how it works. */
export interface ContainerdOptions {
  /** Images and containers: survives a power cut. */
  readonly rootDir: string;
  /** Sockets and mounts: lost with the power. */
  readonly stateDir: string;
  readonly socket: string;
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly sandboxImage: string;
  /** Registry hosts configuration, one folder a host (hosts.toml). */
  readonly certsDir: string;
  /** The process may not make itself less likely to be killed for memory: then its containers neither. */
  readonly restrictOomScore: boolean;
}

/** containerd's configuration, format version 2 (read by containerd 1.6 to 2.x). Strings are escaped as TOML basic strings. */
export function containerdConfiguration(options: ContainerdOptions): string {
  const text = (value: string): string => JSON.stringify(value);
  return `version = 2
root = ${text(options.rootDir)}
state = ${text(options.stateDir)}
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = ${text(options.socket)}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${text(options.sandboxImage)}
  restrict_oom_score_adj = ${options.restrictOomScore}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  max_container_log_line_size = 16384

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${text(options.cniBinDir)}
    conf_dir = ${text(options.cniConfDir)}

  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = ${text(options.certsDir)}
`;
}
