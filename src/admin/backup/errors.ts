import { CodedError } from '#base';

/** The file is something else than a backup. */
export class NotABackup extends CodedError {
  constructor(file: string, detail: string) {
    super('NotABackup', `${file} is not a k8ts backup: ${detail}; nothing was changed`);
  }
}

/** The file began as a backup and its end is missing. */
export class BackupCutShort extends CodedError {
  constructor(file: string, where: string) {
    super(
      'BackupCutShort',
      `${file} is cut short: it ends ${where}; nothing was changed: use a whole copy of it or another backup`,
    );
  }
}

/** Bytes of the file are not those that were written. */
export class BackupDamaged extends CodedError {
  constructor(file: string, detail: string, options?: ErrorOptions) {
    super(
      'BackupDamaged',
      `${file} is damaged: ${detail}; nothing was changed: use another copy of it or another backup`,
      options,
    );
  }
}
