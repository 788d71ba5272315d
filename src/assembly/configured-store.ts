import { readFileSync } from 'node:fs';
import type { Clock, Log } from '#base';
import { openStore, type Store } from '#store';

/** Where a store is, as configurations and flags name it. */
export interface StorePlace {
  readonly store: string;
  readonly etcdTls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

/** Opens a store whose certificates are in files. */
export function openConfiguredStore(place: StorePlace, options: { clock: Clock; log?: Log }): Promise<Store> {
  const { store, etcdTls } = place;
  return openStore(store, etcdTls === undefined ? options : { ...options, etcdTls: readEtcdTls(etcdTls) });
}

export function readEtcdTls({ ca, cert, key }: NonNullable<StorePlace['etcdTls']>) {
  const read = (file: string): string => readFileSync(file, 'utf8');
  return {
    ca: read(ca),
    ...(cert === undefined ? {} : { cert: read(cert) }),
    ...(key === undefined ? {} : { key: read(key) }),
  };
}
