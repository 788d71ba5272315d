import { type ControllerRevision, resource } from '#api';
import { controllerOf } from '#machinery';
import { ageColumn, integerColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';

function controllerText(revision: ControllerRevision): string {
  const owner = controllerOf(revision);
  if (owner === undefined) return '<none>';
  const slash = owner.apiVersion.indexOf('/');
  const group = slash < 0 ? '' : `.${owner.apiVersion.slice(0, slash)}`;
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}

export const controllerRevisionKind = defineKind<ControllerRevision>({
  resource: resource('apps/v1', 'controllerrevisions'),
  columns: [
    nameColumn,
    textColumn('Controller', 'Controller of the revision.', controllerText),
    integerColumn('Revision', 'Number of the revision.', (object) => object.revision ?? 0),
    ageColumn,
  ],
});
