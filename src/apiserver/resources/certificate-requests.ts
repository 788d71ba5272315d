import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '#api';
import { rfc3339 } from '#base';
import { validateCertificateRequestUpdate } from '#kinds';
import { validateAnnotations, validateLabels } from '#machinery';
import type { KindHooks } from './context.ts';
import { parentSubresource } from './parent-subresource.ts';

/** Who asks is what authentication found, whatever the request says; the request itself never changes. */
export const certificateRequestHooks: KindHooks = {
  prepareCreate(draft, { request }) {
    const { spec } = draft as unknown as CertificateSigningRequest;
    const { user, uid, groups, extra } = request.identity;
    spec.username = user;
    spec.groups = [...groups];
    if (uid === undefined || uid === '') delete spec.uid;
    else spec.uid = uid;
    if (extra === undefined || Object.keys(extra).length === 0) delete spec.extra;
    else spec.extra = Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]]));
  },
  prepareUpdate(draft, old) {
    draft.spec = structuredClone(old.spec);
  },
};

/** certificatesigningrequests/approval: conditions, and as on every update labels and annotations. */
export const approval = parentSubresource({
  name: 'approval',
  take: (draft, sent, { clock }) => {
    const request = draft as unknown as CertificateSigningRequest;
    const now = rfc3339(clock.nowMs());
    const before = request.status?.conditions ?? [];
    const wanted = (sent as unknown as CertificateSigningRequest).status?.conditions ?? [];
    const conditions = wanted.map((one): CertificateSigningRequestCondition => {
      const same = before.find(({ type }) => type === one.type);
      return {
        ...one,
        lastUpdateTime: one.lastUpdateTime ?? now,
        lastTransitionTime: one.lastTransitionTime ?? same?.lastTransitionTime ?? now,
      };
    });
    request.status = { ...request.status, conditions };
    for (const field of ['labels', 'annotations'] as const) {
      const { [field]: value } = sent.metadata;
      if (value === undefined) delete draft.metadata[field];
      else draft.metadata[field] = { ...value };
    }
  },
  validate: (draft, old) => {
    const [now, before] = [draft, old] as unknown as [CertificateSigningRequest, CertificateSigningRequest];
    return [
      ...validateLabels(draft.metadata.labels ?? {}, 'metadata.labels'),
      ...validateAnnotations(draft.metadata.annotations ?? {}, 'metadata.annotations'),
      ...validateCertificateRequestUpdate(now, before, 'approval'),
    ];
  },
});
