export {
  type IngressControllerOptions,
  type RunningIngressController,
  startIngressController,
} from './ingress-controller.ts';
export { type IngressSupervisorOptions, startIngressSupervisor } from './supervisor.ts';
