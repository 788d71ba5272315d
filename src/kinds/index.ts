export { builtinKinds, type KindCatalogue, type KindChange, openKindCatalogue } from './catalogue.ts';
export { labelsText, selectorText, timeSince } from './columns.ts';
export { isNodeReady, nodeAddress, nodeCondition, nodeRoles, nodeTaints } from './core/node-facts.ts';
export {
  type ContainerRole,
  forEachContainer,
  isPodActive,
  isPodAvailable,
  isPodReady,
  isPodTerminal,
  isRestartableInit,
  podCondition,
} from './core/pod-facts.ts';
export { podLimits, podQosClass, podRequests } from './core/pod-resources.ts';
export { applyPodTemplateDefaults } from './core/pod-defaults.ts';
export { validateEphemeralContainersUpdate, validatePodResize } from './core/pod-update.ts';
export { validateCertificateRequestUpdate } from './authn/certificate-signing-request-validation.ts';
export { hasClusterIp, isHeadless, loadBalancerAddresses, needsNodePort } from './core/service-facts.ts';
export {
  allMetadata,
  type Column,
  defineKind,
  hasKnownFinalizers,
  type KindDefinition,
  type MetadataField,
  type ScaleDefinition,
  type SubresourceDefinition,
  type TypedColumn,
  type TypedKindDefinition,
} from './definition.ts';
export { isDefaultStorageClass } from './storage/storage-class.kind.ts';
