import { type Clock, type Closable, CodedError, type Log, type Random } from '#base';
import { type Client, type EventRecorder, type Informers, openEventRecorder } from '#client';
import { controllerCatalogue } from './catalogue.ts';
import type { ControllerSettings, RunningPart } from './definition.ts';
import { openDirectory } from './discovery/directory.ts';

export interface ControllersOptions {
  readonly client: Client;
  /** Shared with whoever else runs in this process. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly settings?: ControllerSettings;
  /** Which to run, upstream's `--controllers`: names, `*` for all, `-NAME` to leave one out. Default all. */
  readonly controllers?: readonly string[];
}

export interface RunningControllers extends Closable {
  readonly names: readonly string[];
  /** Nothing is being worked on and nothing waits, delays not counted. */
  readonly idle: boolean;
}

/** Starts the controllers; they begin to act as their informers come in. */
export async function startControllers(options: ControllersOptions): Promise<RunningControllers> {
  const { client, informers, clock, random, log, settings = {} } = options;
  const chosen = chooseControllers(options.controllers ?? ['*']);
  const directory = openDirectory({ client, informers, clock, log });
  const recorders = new Map<string, EventRecorder>();
  const events = (component: string): EventRecorder => {
    const recorder = recorders.get(component) ?? openEventRecorder({ client, component, clock, random, log });
    recorders.set(component, recorder);
    return recorder;
  };
  const context = { client, informers, clock, random, log, settings, directory, events };
  const running: RunningPart[] = chosen.map((one) => one.start(context));
  return {
    names: chosen.map((one) => one.name),
    get idle() {
      return running.every((part) => part.idle);
    },
    async close() {
      await Promise.all(running.map((part) => part.close()));
      directory.close();
      await Promise.all([...recorders.values()].map((recorder) => recorder.close()));
    },
  };
}

/** The definitions that a list of names, `*` and `-name` means. Throws CodedError `UnknownController`. */
export function chooseControllers(names: readonly string[]): typeof controllerCatalogue {
  const known = new Set(controllerCatalogue.map((one) => one.name));
  for (const name of names) {
    const bare = name.replace(/^-/, '');
    if (bare !== '*' && !known.has(bare))
      throw new CodedError('UnknownController', `there is no controller ${bare}; known: ${[...known].join(', ')}`);
  }
  const all = names.includes('*');
  return controllerCatalogue.filter(({ name }) => !names.includes(`-${name}`) && (all || names.includes(name)));
}
