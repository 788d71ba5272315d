import type { AnyObject } from '#api';
import type { ObjectView } from '../contract.ts';

/**
 * Keeps an index over a view: `put` for every object there once the view is filled, then `remove` and `put` change by change. The
 * view starts filling now. Resolves when the index is whole.
 */
export function followView(
  view: ObjectView,
  index: { put(object: AnyObject): void; remove(object: AnyObject): void },
): Promise<void> {
  let filled = false;
  view.onChange(({ object, old }) => {
    if (!filled) return;
    if (old !== undefined) index.remove(old);
    if (object !== undefined) index.put(object);
  });
  const fill = (): void => {
    for (const object of view.list()) index.put(object);
    filled = true;
  };
  if (!view.isReady) return view.ready.then(fill);
  fill();
  return Promise.resolve();
}
