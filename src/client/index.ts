export type {
  Change,
  Client,
  DeleteOptions,
  Informer,
  InformerOptions,
  Informers,
  ListOptions,
  ObjectOptions,
  Patch,
  WatchOptions,
  WriteOptions,
} from './contract.ts';
