import type { Handler } from '../contract.ts';
import type { ResourceRow } from './remote-resources.ts';

/** A version of a group that this server answers itself, though its objects are not stored: an APIService of the user's may take its place. */
export interface LocalGroup {
  readonly group: string;
  readonly version: string;
  /** Items of APIResourceList, for discovery. */
  readonly resources: readonly ResourceRow[];
  readonly handle: Handler;
  close(): void;
}
