/** One finding of validation, in upstream's terms (field.Error): collected in lists, never thrown one by one. */
export interface FieldError {
  readonly type:
    | 'FieldValueNotFound'
    | 'FieldValueRequired'
    | 'FieldValueDuplicate'
    | 'FieldValueInvalid'
    | 'FieldValueTypeInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'InternalError';
  /** `spec.containers[0].name`, `metadata.labels[app]`. */
  readonly field: string;
  /** Upstream's text without the field: `Required value`, `Invalid value: "X": must be …`. */
  readonly detail: string;
}
