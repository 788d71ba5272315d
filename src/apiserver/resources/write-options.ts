import { errInvalid, errBadRequest, type FieldError, notSupportedError, validateFieldManager } from '#machinery';
import type { ServerRequest } from '../contract.ts';

/** CreateOptions, UpdateOptions and PatchOptions, from the query. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  /** Apply only. */
  readonly force: boolean;
}

const none: WriteOptions = Object.freeze({ dryRun: false, fieldManager: '', fieldValidation: 'Warn', force: false });

/** Reads and checks them; `kind` names them in errors. */
export function writeOptions(
  request: ServerRequest,
  kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
): WriteOptions {
  const { options, rawQuery } = request.info;
  if (rawQuery === '') return none;
  const dryRun = options.getAll('dryRun');
  const fieldManager = options.get('fieldManager') ?? '';
  const fieldValidation = options.get('fieldValidation') || 'Warn';
  const errors: FieldError[] = dryRunErrors(dryRun);
  if (fieldManager !== '') errors.push(...validateFieldManager(fieldManager, 'fieldManager'));
  if (fieldValidation !== 'Ignore' && fieldValidation !== 'Warn' && fieldValidation !== 'Strict') {
    errors.push(notSupportedError('fieldValidation', fieldValidation, ['Ignore', 'Strict', 'Warn']));
  }
  if (errors.length > 0) throw errInvalid({ group: 'meta.k8s.io', kind }, '', errors);
  return {
    dryRun: dryRun.length > 0,
    fieldManager,
    fieldValidation: fieldValidation as WriteOptions['fieldValidation'],
    force: options.get('force') === 'true' || options.get('force') === '1',
  };
}

/** The options as admission sees them: what was asked for, nothing else. */
export function admissionOptions(request: ServerRequest, options: WriteOptions): Record<string, unknown> {
  const { info, method } = request;
  const kind = method === 'POST' ? 'CreateOptions' : method === 'PATCH' ? 'PatchOptions' : 'UpdateOptions';
  return {
    kind,
    apiVersion: 'meta.k8s.io/v1',
    ...(options.dryRun ? { dryRun: ['All'] } : {}),
    ...(options.force ? { force: true } : {}),
    ...(options.fieldManager === '' ? {} : { fieldManager: options.fieldManager }),
    ...(info.options.has('fieldValidation') ? { fieldValidation: options.fieldValidation } : {}),
  };
}

export function dryRunErrors(dryRun: readonly unknown[]): FieldError[] {
  return dryRun.length > 0 && dryRun.some((one) => one !== 'All') ? [notSupportedError('dryRun', dryRun, ['All'])] : [];
}

/** The manager that managedFields name: the option, else the program of the User-Agent. */
export function managerOf(request: ServerRequest, options: WriteOptions): string {
  if (options.fieldManager !== '') return options.fieldManager;
  const agent = request.headers['user-agent'] ?? '';
  const slash = agent.indexOf('/');
  const program = (slash < 0 ? agent : agent.slice(0, slash)).replace(/[^\x20-\x7e]/g, '').slice(0, 128);
  return program === '' ? 'unknown' : program;
}

export function integerOption(request: ServerRequest, name: string): number | undefined {
  const text = request.info.options.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw errBadRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}
