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
export type { Kubelet, KubeletOptions } from './kubelet.ts';
export type { SimulatedNodeShape, SimulatedNodes, SimulatedNodesOptions } from './simulated/index.ts';

/** Runs real pods: loaded by the process that does. */
export const loadKubelet = () => import('./kubelet.ts');
/** Nodes without containers: loaded by whoever wants some. */
export const loadSimulatedNodes = () => import('./simulated/index.ts');
/** Stops and removes every pod of a runtime: loaded by its command. */
export const loadRemoveAllPods = () => import('./remove-all-pods.ts');
