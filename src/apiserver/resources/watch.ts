import { errInvalid, type FieldError, forbiddenError, notSupportedError } from '#machinery';
import type { ServerRequest, ServerResponse } from '../contract.ts';
import type { Verb } from './context.ts';
import { formOf } from './form.ts';
import { parseRevision } from './revisions.ts';
import { selectionOf } from './selection.ts';
import { eventEncoder } from './watch-frames.ts';
import { ByteOutput, ObjectOutput } from './watch-output.ts';
import { WatchSession, type WatchStart } from './watch-session.ts';
import { integerOption } from './write-options.ts';
import { isTrue } from '../http/request-info.ts';

const shortestTimeoutSeconds = 1800;

/** GET with watch=true. Everything that can be refused is refused here; later failures are ERROR events. */
export const watch: Verb = async (context, kind, request): Promise<ServerResponse> => {
  const start = startOf(request);
  const bookmarks = isTrue(request.info.options.get('allowWatchBookmarks'));
  const asked = integerOption(request, 'timeoutSeconds');
  const timeoutSeconds =
    asked !== undefined && asked > 0 ? asked : shortestTimeoutSeconds + context.random.int(shortestTimeoutSeconds);
  const { cache } = kind.storage;
  if (!cache.isReady) await cache.ready;
  const selection = selectionOf(kind, request.info);
  const options = { context, kind, cache, selection, start, bookmarks, timeoutSeconds };
  const form = formOf(request, 'watch', kind);
  if (request.objects) {
    const metadataOnly = form.as?.kind === 'PartialObjectMetadata';
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      events: new ObjectOutput({
        definition: kind.definition,
        request,
        metadataOnly,
        open: (output) => new WatchSession({ ...options, output }),
      }),
    };
  }
  const encoder = eventEncoder(context, kind, request, form);
  return {
    status: 200,
    headers: { 'content-type': form.contentType, 'cache-control': 'no-cache, private' },
    stream: (sink) => new WatchSession({ ...options, output: new ByteOutput(sink, encoder) }).run(),
  };
};

function startOf(request: ServerRequest): WatchStart {
  const { options } = request.info;
  const version = options.get('resourceVersion') ?? '';
  const match = options.get('resourceVersionMatch') ?? '';
  const initial = options.get('sendInitialEvents');
  const errors: FieldError[] = [];
  if (initial === null || initial === '') {
    if (match !== '') {
      errors.push(
        forbiddenError(
          'resourceVersionMatch',
          'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
        ),
      );
    }
  } else if (match !== 'NotOlderThan') {
    errors.push(
      match === ''
        ? forbiddenError(
            'resourceVersionMatch',
            'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
          )
        : notSupportedError('resourceVersionMatch', match, ['NotOlderThan']),
    );
  }
  if (errors.length > 0) throw errInvalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors);
  const revision = parseRevision(version);
  const wanted = isTrue(initial) && initial !== '';
  if (wanted) return { from: 'state', fresh: version === '', notOlderThan: revision, marksEnd: true };
  if (initial !== null && initial !== '') return revision === 0 ? { from: 'now' } : { from: 'revision', revision };
  if (revision === 0) return { from: 'state', fresh: version === '', notOlderThan: 0, marksEnd: false };
  return { from: 'revision', revision };
}
