export { validateCidr, validateIpAddress } from './addresses.ts';
export {
  type ClusterRange,
  findRangeClashes,
  type HostRoute,
  type Ipv4Range,
  ipv4Range,
  ipv4Text,
  mergeRanges,
  rangesMeet,
  withoutRanges,
} from './ipv4-ranges.ts';
export {
  ApiError,
  continueTooOldButUsableMessage,
  continueTooOldMessage,
  errAlreadyExists,
  errApplyConflict,
  errBadRequest,
  errConflict,
  errExpired,
  errForbidden,
  errGenerateNameConflict,
  errInternal,
  errInvalid,
  errMethodNotAllowed,
  errNotAllowed,
  errMethodNotSupported,
  errNotAcceptable,
  errNotFound,
  errServerTimeout,
  errServiceUnavailable,
  errStatus,
  errTimeout,
  errTooLarge,
  errTooLargeResourceVersion,
  errTooManyRequests,
  errUnauthorized,
  errUnknownPath,
  errUnprocessable,
  errUnsupportedMediaType,
  type GroupKind,
  type GroupResource,
  objectModifiedMessage,
  versionTooOldMessage,
} from './errors.ts';
export {
  defaultEvictionThresholds,
  type EvictionSignal,
  type EvictionThresholds,
  evictionSignals,
  evictionThresholdAmount,
  parseEvictionThresholds,
} from './eviction-thresholds.ts';
export {
  duplicateError,
  type FieldError,
  fieldErrorText,
  forbiddenError,
  internalFieldError,
  invalidError,
  notFoundError,
  notSupportedError,
  requiredError,
  tooLongError,
  tooManyError,
  typeInvalidError,
} from './field-error.ts';
export { escapeFieldValue, type FieldRequirement, parseFieldSelector } from './fields.ts';
export { goQuote, goValueText, jsonTypeOf } from './go-text.ts';
export { parseLabelSelector } from './label-parser.ts';
export {
  type LabelOperator,
  type LabelRequirement,
  LabelSelector,
  labelSelectorFromMap,
  labelSelectorOf,
} from './labels.ts';
export {
  maskTrailingDash,
  validateCIdentifier,
  validateConfigKey,
  validateDns1035Label,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateEnvVarName,
  validateLabelValue,
  validatePathSegmentName,
  validatePortName,
  validatePortNumber,
  validateQualifiedName,
  validateUnderscoredSubdomain,
  validateWildcardDns1123Subdomain,
} from './names.ts';
export {
  type ObjectMetaRules,
  validateAnnotations,
  validateFieldManager,
  validateLabelSelector,
  validateLabels,
  validateKnownFinalizers,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from './object-meta.ts';
export { cloneObject, deepEqual, deepFreeze, nestsDeeper, setOwn } from './objects.ts';
export { controllerOf, controllerReference } from './owners.ts';
export {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  isQuantity,
  quantityError,
  quantityMilli,
  quantityValue,
  subtractQuantities,
} from './quantity.ts';
export { fnv32a, resolveIntOrPercent, safeEncode } from './small-values.ts';
export {
  apiErrorFromStatus,
  isAlreadyExists,
  isConflict,
  isExpired,
  isForbidden,
  isInvalid,
  isNamespaceTerminating,
  isNotFound,
  isTooManyRequests,
  isUnauthorized,
  statusOf,
} from './status-of.ts';
export { formatGoDuration, parseGoDuration, parseTimeMs } from './times.ts';
export { humanDuration } from './human-duration.ts';
export { applyJsonPatch } from './json-patch.ts';
export { applyMergePatch } from './merge-patch.ts';
export { applySchemaDefaults, normalizeScalars } from './schema-defaults.ts';
export { pruneUnknown, unknownFieldText } from './schema-prune.ts';
export { validateAgainstSchema } from './schema-types.ts';
export { applyStrategicMergePatch } from './strategic-merge-patch.ts';
export { checkConfiguration } from './apply-check.ts';
export type { FieldSet } from './field-set.ts';
export { recordLastApplied } from './last-applied.ts';
export { entryProblem, keepTimes, type TrackedWrite, trackUpdate } from './managed-fields.ts';
export { type Application, applyServerSide } from './server-side-apply.ts';
export { meetsNodeRequirement } from './node-selector.ts';
