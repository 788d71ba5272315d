/** Taking and restoring backups: loaded when first asked for, `up` does without. */
export function loadBackup(): Promise<typeof import('./index.ts')> {
  return import('./index.ts');
}
