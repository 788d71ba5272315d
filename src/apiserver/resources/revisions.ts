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

/** Upstream's shape: base64url of `{"v":"meta.k8s.io/v1","rv":…,"start":…}`. */
export function encodeContinue({ revision, start }: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start })).toString('base64url');
}

export function parseContinue(text: string): ContinueToken {
  try {
    const token: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (typeof token === 'object' && token !== null) {
      const { v, rv, start } = token as { v?: unknown; rv?: unknown; start?: unknown };
      const whole = v === 'meta.k8s.io/v1' && Number.isSafeInteger(rv) && (rv as number) >= -1;
      const safe =
        typeof start === 'string' && start !== '' && !/(^|\/)\.{1,2}(\/|$)/.test(start) && !start.startsWith('/');
      if (whole && safe) return { revision: Math.max(0, rv as number), start };
    }
  } catch {}
  throw errBadRequest('continue key is not valid');
}
