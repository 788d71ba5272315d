import type { Bench } from './measurement.ts';

/** Rows that one process measures. */
export interface Group {
  readonly name: string;
  readonly load: () => Promise<Bench>;
  /** Given up after so long (a whole run); `--quick` has half of it. */
  readonly limitSeconds: number;
  /** Can measure any Kubernetes API server: `--against`. */
  readonly anyServer?: boolean;
  /** Runs in a network namespace of its own without a route. */
  readonly ownNetwork?: boolean;
  /** Not part of a run that names no groups. */
  readonly onlyByName?: boolean;
}

/** In the order of the table. */
export const groups: readonly Group[] = [
  { name: 'start', limitSeconds: 90, load: async () => (await import('./rows/start-up.ts')).benchStartUp },
  { name: 'in-process', limitSeconds: 40, load: async () => (await import('./rows/in-process.ts')).benchInProcess },
  { name: 'api', limitSeconds: 120, anyServer: true, load: async () => (await import('./rows/api.ts')).benchApi },
  { name: 'watch', limitSeconds: 60, anyServer: true, load: async () => (await import('./rows/watch.ts')).benchWatch },
  { name: 'storm', limitSeconds: 60, load: async () => (await import('./rows/storm.ts')).benchStorm },
  { name: 'store', limitSeconds: 30, load: async () => (await import('./rows/store.ts')).benchStoreRows },
  {
    name: 'pods-bound',
    limitSeconds: 120,
    anyServer: true,
    load: async () => (await import('./rows/big-cluster.ts')).benchBigCluster,
  },
  { name: 'scheduling', limitSeconds: 90, load: async () => (await import('./rows/scheduling.ts')).benchScheduling },
  { name: 'scheduler', limitSeconds: 60, load: async () => (await import('./rows/scheduling.ts')).benchSchedulerAlone },
  { name: 'dns', limitSeconds: 30, load: async () => (await import('./rows/dns.ts')).benchDns },
  {
    name: 'services',
    limitSeconds: 60,
    ownNetwork: true,
    load: async () => (await import('./rows/services.ts')).benchServices,
  },
  { name: 'ingress', limitSeconds: 60, load: async () => (await import('./rows/ingress.ts')).benchIngress },
  { name: 'pods', limitSeconds: 180, load: async () => (await import('./rows/pods.ts')).benchPods },
  { name: 'up', limitSeconds: 180, onlyByName: true, load: async () => (await import('./rows/up.ts')).benchUp },
];
