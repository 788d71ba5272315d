export { type ApiServer, type ApiServerOptions, openApiServer } from './server.ts';
export { serverIdentity } from './server-identity.ts';
export { aesGcmSeal, type EncryptionKey } from './resources/encryption.ts';
export type {
  AdmissionAttributes,
  AdmissionOperation,
  AdmissionPlugin,
  AuthenticationRequest,
  AuthenticationResult,
  Authenticator,
  AuthorizationDecision,
  Authorizer,
  ByteSink,
  Handler,
  Link,
  ObjectView,
  RequestAttributes,
  RequestInfo,
  RequestSource,
  ReviewHandler,
  Route,
  ServerObjects,
  ServerRequest,
  ServerResponse,
  TokenIssuer,
} from './contract.ts';
export {
  type AuthenticationOptions,
  checkOpenIdSettings,
  openAuthenticator,
  openTokenIssuer,
} from './authn/index.ts';
export { bootstrapPolicy, type ClusterAuthorizer, openAuthorizer, reviewHandlers } from './authz/index.ts';
export {
  type AdmissionOptions,
  admissionPlugins,
  type ServiceResolver,
  systemPriorityClasses,
} from './admission/index.ts';
export { joinPolicy, type PolicyObject } from './authz/index.ts';
export {
  allSinks,
  type AuditPolicy,
  type AuditSink,
  auditLink,
  auditRefusal,
  loadAuditPolicy,
  loadAuditWebhook,
  metadataPolicy,
  openFileSink,
} from './audit/index.ts';
export type { ComponentHealth } from './resources/component-statuses.ts';
