/** The control plane inside a test: the real API server, controllers and scheduler, on memory, with simulated nodes. */
export { startCluster, type TestCluster } from '#testkit';
