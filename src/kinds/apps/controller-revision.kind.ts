import { type ControllerRevision, resource } from '#api';
import { controllerOf } from '#machinery';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { Findings } from '../findings.ts';

function controllerText(revision: ControllerRevision): string {
  const owner = controllerOf(revision);
  if (owner === undefined) return '<none>';
  const slash = owner.apiVersion.indexOf('/');
  const group = slash < 0 ? '' : `.${owner.apiVersion.slice(0, slash)}`;
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}

export const controllerRevisionKind = defineKind<ControllerRevision>({
  resource: resource('apps/v1', 'controllerrevisions'),
  validate: (object) => {
    const found = new Findings();
    if (object.data == null) found.required('data', 'data is mandatory');
    found.nonNegative('revision', object.revision);
    return found.list;
  },
  validateUpdate: (object, old) => {
    const found = new Findings();
    found.immutable('data', object.data, old.data);
    return found.list;
  },
  columns: [
    nameColumn,
    textColumn('Controller', 'Controller of the revision.', controllerText),
    textColumn('Revision', 'Number of the revision.', (object) => object.revision ?? 0),
    ageColumn,
  ],
});
