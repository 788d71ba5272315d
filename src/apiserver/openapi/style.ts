/** One JSON object of a document. */
export type Json = Record<string, unknown>;

/** What differs between OpenAPI 2 and 3 where schemas are written. */
export interface Style {
  readonly version: 2 | 3;
  /** A reference with what is said beside it. */
  ref(name: string, beside?: Json): Json;
}

export const style2: Style = {
  version: 2,
  ref: (name, beside = {}) => ({ ...beside, $ref: `#/definitions/${name}` }),
};

/** OpenAPI 3 ignores what stands beside a reference: it goes around it. */
export const style3: Style = {
  version: 3,
  ref: (name, beside = {}) => {
    const reference = { $ref: `#/components/schemas/${name}` };
    return Object.keys(beside).length === 0 ? reference : { ...beside, allOf: [reference] };
  },
};
