export { ArchiveDamaged, type ArchivedWrite } from './frames.ts';
export {
  type ArchiveMoment,
  type ArchiveSelection,
  type ArchiveSource,
  describeWindow,
  readArchiveHeader,
  readSelection,
  revisionAt,
  selectFromArchive,
} from './read-archive.ts';
export { type ArchiveEnd, type ArchiveHeader, writeArchive } from './write-archive.ts';
