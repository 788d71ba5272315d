import type { AnyObject, Status } from '#api';
import { apiErrorFromStatus } from '#machinery';
import type { Transport } from '#wire';

interface Named {
  readonly metadata: { readonly name?: string | undefined };
}

/** Creates an object, or (with `replace`) makes the one that is there equal to it. */
export async function put(transport: Transport, collection: string, object: Named, replace: boolean): Promise<void> {
  const created = await transport.request({ method: 'POST', target: collection, objectBody: object, objects: true });
  if (created.status === 201) return;
  if (created.status !== 409) throw apiErrorFromStatus(created.object as Status);
  if (!replace) return;
  const replaced = await transport.request({
    method: 'PUT',
    target: `${collection}/${encodeURIComponent(object.metadata.name ?? '')}`,
    objectBody: object,
    objects: true,
  });
  if (replaced.status >= 300) throw apiErrorFromStatus(replaced.object as Status);
}

/** Reads one object; undefined when it is not there. */
export async function read(transport: Transport, target: string): Promise<AnyObject | undefined> {
  const response = await transport.request({ method: 'GET', target, objects: true });
  if (response.status === 404) return undefined;
  if (response.status >= 300) throw apiErrorFromStatus(response.object as Status);
  return response.object as AnyObject;
}
