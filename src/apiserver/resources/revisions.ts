import { errBadRequest, errInvalid, invalidError } from '#machinery';

/** A resourceVersion as a number; 0 for '' and '0'. Throws 422 as upstream when it is none. */
export function parseRevision(text: string): number {
  if (text === '' || text === '0') return 0;
  const revision = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(revision)) {
    throw errInvalid({ group: '', kind: 'ListOptions' }, '', [
      invalidError('resourceVersion', text, `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`),
    ]);
  }
  return revision;
}

/** Where a paged list goes on: the revision it reads at, and the first key (relative to the resource's prefix). */
export interface ContinueToken {
  /** 0: whatever is newest, for lists that go on after their history was forgotten. */
  readonly revision: number;
  readonly start: string;
}

/** Upstream's shape: base64url of `{"v":"meta.k8s.io/v1","rv":…,"start":…}`; -1 for whatever is newest. */
export function encodeContinue({ revision, start }: ContinueToken): string {
  const rv = revision === 0 ? -1 : revision;
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv, start })).toString('base64url');
}

/** Throws 400 with upstream's reasons for a token that the server did not make. */
export function parseContinue(text: string): ContinueToken {
  const invalid = (why = ''): Error => errBadRequest(`invalid continue token: continue key is not valid${why}`);
  if (!/^[\w-]*$/.test(text)) {
    const at = text.search(/[^\w-]/);
    throw invalid(`: illegal base64 data at input byte ${at}`);
  }
  let token: { v?: unknown; rv?: unknown; start?: unknown } | null;
  try {
    token = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    throw invalid();
  }
  const { v, rv, start } = token ?? {};
  if (v !== 'meta.k8s.io/v1') throw invalid(`: server does not recognize this encoded version ${String(v ?? '')}`);
  if (!Number.isSafeInteger(rv) || (rv as number) < -1) throw invalid();
  if (rv === 0) throw invalid(': incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  if (start === '' || start === undefined) throw invalid(': encoded start key empty (version meta.k8s.io/v1)');
  if (typeof start !== 'string' || !isClean(start)) throw invalid(`: ${String(start)}`);
  return { revision: Math.max(0, rv as number), start: start.replace(/^\//, '') };
}

/** No step of the path leads up, nowhere or twice to the same place. */
const isClean = (path: string): boolean =>
  path
    .replace(/^\//, '')
    .split('/')
    .every((step) => step !== '' && step !== '.' && step !== '..');
