/** The library: what programs that speak to a cluster need. */
export * from '#client';
export { type Clock, type Log, openLog, type Random, silentLog, systemClock, systemRandom } from '#base';

export { apiVersionOf, builtinResources, resource } from '#api';
export { openHttpsTransport } from '#wire';
