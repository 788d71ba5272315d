export {
  type Column,
  defineKind,
  type KindDefinition,
  type ScaleDefinition,
  type SubresourceDefinition,
} from './definition.ts';
