import { CodedError } from '#base';

/** A volume cannot be set up now; the pod waits and it is tried again. The message is what users read in FailedMount events. */
export class VolumeError extends CodedError {}

/** A call of a storage driver failed. `code` is the gRPC status name (`NOT_FOUND`, `RESOURCE_EXHAUSTED`, …). */
export class DriverError extends CodedError {}
