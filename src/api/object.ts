import type { ObjectMeta } from './generated/types.ts';

/** Any object of the API as the server stores and returns it. Objects handed out by caches are frozen: copy before changing. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** The same with every other field reachable as unknown, for code that walks any kind. */
export type AnyObject = KubeObject & { [field: string]: unknown };

/** What a client may send to create a T: the server fills the rest of metadata. */
export type NewObject<T extends KubeObject> = Omit<T, 'metadata' | 'apiVersion' | 'kind'> & {
  apiVersion?: string;
  kind?: string;
  metadata: Partial<ObjectMeta>;
};

export interface KubeList<T extends KubeObject> {
  apiVersion: string;
  kind: string;
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
  items: T[];
}

/** One event of a watch. `object` is a Status for ERROR and carries only metadata.resourceVersion for BOOKMARK. */
export interface WatchEvent<T extends KubeObject = KubeObject> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: T;
}
