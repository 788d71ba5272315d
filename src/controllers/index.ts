export { controllerCatalogue } from './catalogue.ts';
export type {
  ControllerContext,
  ControllerDefinition,
  ControllerSettings,
  RunningPart,
} from './definition.ts';
export { defineController } from './definition.ts';
export { type ControllersOptions, chooseControllers, type RunningControllers, startControllers } from './start.ts';
