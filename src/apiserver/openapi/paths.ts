import { builtinSchema, type ResourceInfo } from '#api';
import type { KindDefinition } from '#kinds';
import { listTypeName } from './custom-schemas.ts';
import { capital, customDefinitionName, groupTag, groupWords } from './names.ts';
import {
  deleteQuery,
  listQuery,
  type Operation,
  operation2,
  operation3,
  patchQuery,
  pathParameter,
  readQuery,
  writeQuery,
} from './operations.ts';
import type { Definitions } from './schemas.ts';
import type { Json, Style } from './style.ts';

const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';

/** The paths of one kind with their operations. */
export function pathsOf(definition: KindDefinition, definitions: Definitions, style: Style): Json {
  const info = definition.resource;
  const { group, version, kind, plural, namespaced } = info;
  const verbs = new Set(definition.verbs ?? allVerbs);
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const words = (verb: string, tail = ''): string =>
    `${verb}${groupWords(group)}${capital(version)}${namespaced ? 'Namespaced' : ''}${kind}${tail}`;
  const object = objectRef(info, definitions, style);
  const list = listRef(info, definitions, style);
  const status = definitions.type('meta/v1.Status');
  const deleteOptions = definitions.type('meta/v1.DeleteOptions');
  const patch = definitions.special(`${meta}.Patch`);
  const context = { tag: groupTag(group, version), kind: { group, kind, version } };
  const write = style.version === 2 ? operation2 : operation3;
  const namespaceParameter = pathParameter(
    'namespace',
    'object name and auth scope, such as for teams and projects',
    style.version,
  );
  const nameParameter = pathParameter('name', `name of the ${kind}`, style.version);
  const paths: Json = {};
  const add = (
    path: string,
    operations: readonly (Operation | false)[],
    parameters: readonly Json[],
    asKind?: Json,
  ): void => {
    const present = operations.filter((one): one is Operation => one !== false);
    if (present.length === 0) return;
    paths[path] = {
      ...Object.fromEntries(
        present.map((one) => [one.method, write(one, asKind === undefined ? context : { ...context, kind: asKind })]),
      ),
      ...(parameters.length === 0 ? {} : { parameters }),
    };
  };
  const listing = (id: string): Operation | false =>
    verbs.has('list') && {
      method: 'get',
      action: 'list',
      id,
      description: `list or watch objects of kind ${kind}`,
      query: listQuery,
      response: list,
      status: ['200'],
    };
  const collection = namespaced ? `${root}/namespaces/{namespace}/${plural}` : `${root}/${plural}`;
  const scope = namespaced ? [namespaceParameter] : [];
  if (namespaced)
    add(`${root}/${plural}`, [listing(`list${groupWords(group)}${capital(version)}${kind}ForAllNamespaces`)], []);
  add(
    collection,
    [
      listing(words('list')),
      verbs.has('create') && {
        method: 'post',
        action: 'post',
        id: words('create'),
        description: `create ${article(kind)} ${kind}`,
        query: writeQuery,
        body: object,
        response: object,
        status: ['200', '201', '202'],
      },
      verbs.has('deletecollection') && {
        method: 'delete',
        action: 'deletecollection',
        id: `delete${groupWords(group)}${capital(version)}Collection${namespaced ? 'Namespaced' : ''}${kind}`,
        description: `delete collection of ${kind}`,
        query: [
          ...deleteQuery,
          ...listQuery.filter(
            (one) => one.name !== 'pretty' && one.name !== 'watch' && one.name !== 'allowWatchBookmarks',
          ),
        ],
        body: deleteOptions,
        bodyRequired: false,
        response: status,
        status: ['200'],
      },
    ],
    scope,
  );
  const item = `${collection}/{name}`;
  const itemParameters = [nameParameter, ...scope];
  const readWrite = (
    path: string,
    tail: string,
    part: string,
    body: Json,
    held: ReadonlySet<string>,
    asKind?: Json,
  ): void =>
    add(
      path,
      [
        held.has('get') && {
          method: 'get',
          action: 'get',
          id: words('read', tail),
          description: `read ${part}the specified ${kind}`,
          query: readQuery,
          response: body,
          status: ['200'],
        },
        held.has('update') && {
          method: 'put',
          action: 'put',
          id: words('replace', tail),
          description: `replace ${part}the specified ${kind}`,
          query: writeQuery,
          body,
          response: body,
          status: ['200', '201'],
        },
        held.has('create') && {
          method: 'post',
          action: 'post',
          id: words('create', tail),
          description: `create ${part}${article(kind)} ${kind}`,
          query: writeQuery,
          body,
          response: body,
          status: ['200', '201', '202'],
        },
        held.has('delete') && {
          method: 'delete',
          action: 'delete',
          id: words('delete', tail),
          description: `delete ${article(kind)} ${kind}`,
          query: deleteQuery,
          body: deleteOptions,
          bodyRequired: false,
          response: status,
          status: ['200', '202'],
        },
        held.has('patch') && {
          method: 'patch',
          action: 'patch',
          id: words('patch', tail),
          description: `partially update ${part}the specified ${kind}`,
          query: patchQuery,
          body: patch,
          patch: definition.schema === undefined ? true : 'custom',
          response: body,
          status: ['200', '201'],
        },
      ],
      itemParameters,
      asKind,
    );
  const without = (verb: string): ReadonlySet<string> => new Set([...verbs].filter((one) => one !== verb));
  readWrite(item, '', '', object, without('create'));
  const three: ReadonlySet<string> = new Set(['get', 'update', 'patch']);
  if (definition.status === true) readWrite(`${item}/status`, 'Status', 'status of ', object, three);
  if (definition.scale !== undefined) {
    readWrite(`${item}/scale`, 'Scale', 'scale of ', definitions.type('autoscaling/v1.Scale'), three, {
      group: 'autoscaling',
      kind: 'Scale',
      version: 'v1',
    });
  }
  for (const sub of definition.subresources ?? []) {
    const asKind = sub.kind ?? { group, version, kind };
    const typeName = `${packageOf(asKind.group)}/${asKind.version}.${asKind.kind}`;
    const body = builtinSchema.has(typeName) ? definitions.type(typeName) : object;
    readWrite(`${item}/${sub.name}`, capital(sub.name), `${sub.name} of `, body, new Set(sub.verbs), {
      group: asKind.group,
      kind: asKind.kind,
      version: asKind.version,
    });
  }
  return paths;
}

const article = (kind: string): string => (/^[AEIOU]/.test(kind) ? 'an' : 'a');

const packageOf = (group: string): string =>
  group === '' ? 'core' : group.split('.')[0] === 'rbac' ? 'rbac' : (group.split('.')[0] as string);

function objectRef(info: ResourceInfo, definitions: Definitions, style: Style): Json {
  return info.typeName === undefined ? style.ref(customDefinitionName(info)) : definitions.type(info.typeName);
}

function listRef(info: ResourceInfo, definitions: Definitions, style: Style): Json {
  if (info.typeName === undefined) return style.ref(`${customDefinitionName(info)}List`);
  const name = listTypeName(info);
  return name === undefined ? objectRef(info, definitions, style) : definitions.type(name);
}
