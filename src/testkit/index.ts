export * as builders from './builders.ts';
export { administrator, startCluster, type TestCluster, type TestClusterOptions } from './cluster.ts';
export { simulationAnnotations } from '../kubelet/simulated/index.ts';
export { startHttpsServer, type TestHttpsServer } from './https-server.ts';
export { type PrometheusFamily, type PrometheusSample, parsePrometheusText } from './prometheus-text.ts';
