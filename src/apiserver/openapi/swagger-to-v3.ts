import type { SwaggerPart } from './merge-swagger.ts';
import type { Json } from './style.ts';

const methods: ReadonlySet<string> = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch']);
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** OpenAPI 3 of a server that has only version 2. Source: the migration tables of both specifications. */
export function swaggerToV3(part: SwaggerPart, info: unknown): Json {
  const schema = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(schema);
    if (!isObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) =>
        key === '$ref' && typeof one === 'string'
          ? [key, one.replace(/^#\/definitions\//, '#/components/schemas/')]
          : [key, schema(one)],
      ),
    );
  };
  const parameter = ({ name, in: place, description, required, schema: _, ...rest }: Json): Json => {
    const { type, format, items, enum: values, default: fallback, pattern, uniqueItems, ...beside } = rest;
    const of = { type, format, items, enum: values, default: fallback, pattern, uniqueItems };
    const told = Object.fromEntries(Object.entries(of).filter(([, one]) => one !== undefined));
    return {
      name,
      in: place,
      ...(description === undefined ? {} : { description }),
      ...(required === true ? { required } : {}),
      ...beside,
      schema: schema(told),
    };
  };
  const content = (types: unknown, of: unknown): Json => {
    const named = Array.isArray(types) && types.length > 0 ? types : ['application/json'];
    return Object.fromEntries(named.map((type) => [String(type), { schema: schema(of) }]));
  };
  const operation = (value: Json): Json => {
    const { parameters, responses, consumes, produces, schemes: _, ...rest } = value;
    const all = Array.isArray(parameters) ? parameters.filter(isObject) : [];
    const body = all.find((one) => one.in === 'body');
    const others = all.filter((one) => one.in !== 'body' && one.in !== 'formData');
    const answers = isObject(responses) ? responses : {};
    return {
      ...rest,
      ...(others.length === 0 ? {} : { parameters: others.map(parameter) }),
      ...(body === undefined
        ? {}
        : {
            requestBody: {
              ...(body.required === true ? { required: true } : {}),
              content: content(onlyKnown(consumes), body.schema),
            },
          }),
      responses: Object.fromEntries(
        Object.entries(answers).map(([code, one]) => {
          const { schema: of, description = '' } = isObject(one) ? one : {};
          return [code, { description, ...(of === undefined ? {} : { content: content(produces, of) }) }];
        }),
      ),
    };
  };
  const paths = Object.fromEntries(
    Object.entries(part.paths).map(([path, item]) => [
      path,
      Object.fromEntries(
        Object.entries(item as Json).map(([key, one]) => {
          if (methods.has(key) && isObject(one)) return [key, operation(one)];
          if (key === 'parameters' && Array.isArray(one)) return [key, one.filter(isObject).map(parameter)];
          return [key, one];
        }),
      ),
    ]),
  );
  return { openapi: '3.0.0', info, paths, components: { schemas: schema(part.definitions) } };
}

/** What a body may be: any type at all says nothing. */
function onlyKnown(types: unknown): unknown {
  return Array.isArray(types) ? types.filter((one) => one !== '*/*') : types;
}
