export { announcedByAnnotation, ingressControllerName, ingressUser, nodeLocalAnnotation } from './annotations.ts';
export { builtinSchema } from './builtin-schema.ts';
export type * from './generated/types.ts';
export type { AnyObject, KubeList, KubeObject, NewObject, WatchEvent } from './object.ts';
export { apiVersionOf, builtinResources, type ResourceInfo, resource } from './resources.ts';
export type { FieldSchema, ScalarType, Schema, SchemaNode } from './schema.ts';
