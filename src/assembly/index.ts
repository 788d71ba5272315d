export type { AgentConfiguration } from './agent-configuration.ts';
export { loadPrograms, runAgent, runServer } from './run.ts';
export type { ServerConfiguration } from './server-configuration.ts';
