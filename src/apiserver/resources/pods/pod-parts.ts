import type { AnyObject, Container, EphemeralContainer, Pod } from '#api';
import { deepEqual, type FieldError, forbiddenError, invalidError, requiredError } from '#machinery';
import { parentSubresource } from '../parent-subresource.ts';

/** pods/ephemeralcontainers: containers may be added, never changed or taken away. */
export const ephemeralContainers = parentSubresource({
  name: 'ephemeralcontainers',
  take: (draft, sent) => {
    const pod = draft as unknown as Pod;
    const added = (sent as unknown as Pod).spec?.ephemeralContainers;
    const spec = pod.spec as NonNullable<Pod['spec']>;
    if (deepEqual(spec.ephemeralContainers ?? [], added ?? [])) return;
    if (added === undefined || added.length === 0) delete spec.ephemeralContainers;
    else spec.ephemeralContainers = added;
    bump(draft);
  },
  validate: (draft, old) => {
    const field = 'spec.ephemeralContainers';
    const now = (draft as unknown as Pod).spec?.ephemeralContainers ?? [];
    const before = (old as unknown as Pod).spec?.ephemeralContainers ?? [];
    const errors: FieldError[] = [];
    if ((old as unknown as Pod).metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined) {
      errors.push(forbiddenError(field, 'static pods do not support ephemeral containers'));
    }
    for (const one of before) {
      const same = now.find(({ name }) => name === one.name);
      if (same === undefined)
        errors.push(
          forbiddenError(field, `existing ephemeral containers ${JSON.stringify(one.name)} may not be removed`),
        );
      else if (!deepEqual(same, one))
        errors.push(
          forbiddenError(field, `existing ephemeral containers ${JSON.stringify(one.name)} may not be changed`),
        );
    }
    const names = new Set(
      [...containers(old, 'containers'), ...containers(old, 'initContainers')].map(({ name }) => name),
    );
    now.forEach((one: EphemeralContainer, index) => {
      if ((one.name ?? '') === '') errors.push(requiredError(`${field}[${index}].name`));
      else if (names.has(one.name))
        errors.push({
          type: 'FieldValueDuplicate',
          field: `${field}[${index}].name`,
          detail: `Duplicate value: ${JSON.stringify(one.name)}`,
        });
      names.add(one.name);
      if ((one.image ?? '') === '') errors.push(requiredError(`${field}[${index}].image`));
    });
    return errors;
  },
});

/** pods/resize: resources of containers alone. */
export const resize = parentSubresource({
  name: 'resize',
  take: (draft, sent) => {
    for (const list of ['containers', 'initContainers'] as const) {
      const wanted = containers(sent, list);
      for (const one of containers(draft, list)) {
        const match = wanted.find(({ name }) => name === one.name);
        if (match === undefined || deepEqual(match.resources, one.resources)) continue;
        one.resources = match.resources;
        bump(draft);
      }
    }
  },
  validate: (draft, old) => {
    const class1 = (draft as unknown as Pod).status?.qosClass;
    return class1 === (old as unknown as Pod).status?.qosClass
      ? []
      : [invalidError('spec', '', 'Pod QOS Class may not change as a result of resizing')];
  },
});

function containers(pod: AnyObject, list: 'containers' | 'initContainers'): Container[] {
  return ((pod as unknown as Pod).spec?.[list] ?? []) as Container[];
}

function bump(draft: AnyObject): void {
  draft.metadata.generation = (draft.metadata.generation ?? 0) + 1;
}
