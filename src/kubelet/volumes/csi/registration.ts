import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { type Clock, type Log, messageOf, type Timer, makeDirectory } from '#base';
import { type CsiDriver, openCsiDriver } from './driver.ts';
import { watchFolder } from '../watch-folder.ts';
import { openGrpcChannel } from './grpc-service.ts';

/** `pluginregistration` v1: what a plugin's registrar answers on its socket below `plugins_registry`. */
export const registrationSchema: protobuf.INamespace = {
  nested: {
    pluginregistration: {
      nested: {
        InfoRequest: { fields: {} },
        PluginInfo: {
          fields: {
            type: { type: 'string', id: 1 },
            name: { type: 'string', id: 2 },
            endpoint: { type: 'string', id: 3 },
            supported_versions: { rule: 'repeated', type: 'string', id: 4 },
          },
        },
        RegistrationStatus: {
          fields: { plugin_registered: { type: 'bool', id: 1 }, error: { type: 'string', id: 2 } },
        },
        RegistrationStatusResponse: { fields: {} },
        Registration: {
          methods: {
            GetInfo: { requestType: 'InfoRequest', responseType: 'PluginInfo' },
            NotifyRegistrationStatus: {
              requestType: 'RegistrationStatus',
              responseType: 'RegistrationStatusResponse',
            },
          },
        },
      },
    },
  },
};

interface PluginInfo {
  readonly type: string;
  readonly name: string;
  readonly endpoint: string;
  readonly supported_versions: readonly string[];
}

export interface CsiRegistryOptions {
  /** `plugins_registry` of the kubelet's directory. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells the cluster about the driver; one that throws is refused and asked again. */
  readonly onRegister: (driver: CsiDriver) => Promise<void>;
  readonly onLeave: (name: string) => Promise<void>;
}

export interface CsiRegistry {
  get(name: string): CsiDriver | undefined;
  names(): readonly string[];
  /** Resolves when every socket that is there now has been asked. */
  scanned(): Promise<void>;
  close(): void;
}

const quickMs = 10_000;
const retryMs = 2000;
const mostPlugins = 100;
const supported = /^v?1\.\d+(\.\d+)?$/;

/** Finds drivers by the registration sockets below `plugins_registry`, those already there and those that come and go. */
export async function openCsiRegistry(options: CsiRegistryOptions): Promise<CsiRegistry> {
  const { directory, clock, log } = options;
  const root = protobuf.Root.fromJSON(registrationSchema);
  /** By registration socket: which file it was, and the driver that it led to. */
  const known = new Map<string, { readonly inode: string; readonly driver: CsiDriver }>();
  let closed = false;
  let timer: Timer | undefined;
  let scanning: Promise<void> = Promise.resolve();
  let asked = false;
  await makeDirectory(directory, 0o750);

  async function register(path: string): Promise<CsiDriver | undefined> {
    const channel = openGrpcChannel({ socket: path, root, clock });
    const call = channel.service('pluginregistration.Registration');
    try {
      const info = await call<PluginInfo>('GetInfo', {}, quickMs);
      const refuse = async (why: string): Promise<undefined> => {
        log.warn({ plugin: info.name, why }, 'a plugin was not registered');
        await call('NotifyRegistrationStatus', { plugin_registered: false, error: why }, quickMs);
        return undefined;
      };
      if (info.type !== 'CSIPlugin') return await refuse(`this node has no use for plugins of type ${info.type}`);
      if (!/^[A-Za-z0-9]([-A-Za-z0-9.]{0,61}[A-Za-z0-9])?$/.test(info.name))
        return await refuse(`not a name of a driver: "${info.name}"`);
      if (!info.supported_versions.some((one) => supported.test(one)))
        return await refuse(`versions ${info.supported_versions.join(', ')} of CSI are not supported; 1.x is`);
      const driver = await openCsiDriver({ socket: info.endpoint || path, clock });
      if (driver.name !== info.name) {
        driver.close();
        return await refuse(`the driver calls itself ${driver.name}, its registration ${info.name}`);
      }
      try {
        await options.onRegister(driver);
      } catch (error) {
        driver.close();
        await refuse(messageOf(error));
        throw error;
      }
      await call('NotifyRegistrationStatus', { plugin_registered: true, error: '' }, quickMs);
      log.info({ driver: driver.name, socket: driver.socket }, 'a storage driver registered');
      return driver;
    } finally {
      channel.close();
    }
  }

  async function scan(): Promise<void> {
    const present = new Map<string, string>();
    for (const name of (await readdir(directory)).slice(0, mostPlugins)) {
      const found = await stat(join(directory, name)).catch(() => undefined);
      if (found?.isSocket()) present.set(join(directory, name), `${found.ino} ${found.ctimeMs}`);
    }
    for (const [path, { inode, driver }] of known) {
      if (present.get(path) === inode) continue;
      known.delete(path);
      driver.close();
      if (!present.has(path)) {
        log.info({ driver: driver.name }, 'a storage driver has left');
        await options.onLeave(driver.name);
      }
    }
    for (const [path, inode] of present) {
      if (known.has(path)) continue;
      try {
        const driver = await register(path);
        if (driver !== undefined && !closed) known.set(path, { inode, driver });
      } catch (error) {
        log.debug({ socket: path, error: messageOf(error) }, 'a plugin does not answer yet');
        again();
      }
    }
  }

  function again(): void {
    if (closed || timer !== undefined) return;
    timer = clock.setTimer(() => {
      timer = undefined;
      look();
    }, retryMs);
  }

  /** One scan at a time; what happens during one is seen by the next. */
  function look(): void {
    if (asked || closed) return;
    asked = true;
    scanning = scanning
      .then(() => {
        asked = false;
        return closed ? undefined : scan();
      })
      .catch((error: unknown) => {
        log.warn({ error: messageOf(error) }, 'storage drivers were not looked for');
        again();
      });
  }

  const watcher = watchFolder(directory, look, { clock, log });
  look();
  const current = (): CsiDriver[] => [...known.values()].map(({ driver }) => driver);
  return {
    get: (name) => current().find((one) => one.name === name),
    names: () => current().map((one) => one.name),
    scanned: () => scanning,
    close() {
      closed = true;
      watcher.close();
      timer?.cancel();
      for (const driver of current()) driver.close();
    },
  };
}
