export {
  type Architecture,
  buildImage,
  buildImages,
  buildPauseImage,
  hostArchitecture,
  type ImageDescription,
  pauseImage,
  pauseImageName,
} from './images/oci-archive.ts';
export { type TarEntry, tarOf } from './images/tar.ts';
export { type Kubelet, type KubeletOptions, startKubelet } from './kubelet.ts';
export {
  podStages,
  type SimulatedNodeShape,
  type SimulatedNodes,
  type SimulatedNodesOptions,
  type Stage,
  simulationAnnotations,
  startSimulatedNodes,
} from './simulated/index.ts';
export { removeAllPods } from './remove-all-pods.ts';
