/**
 * A part that runs: made by an `open…` or `start…` function, ready when that resolves, ended by `close`.
 *
 *   start…() ──► running ──► close() ──► closed
 *                   └── failed (rejects `done`) ──► the process stops
 */
export interface Closable {
  /** Stops and releases everything; resolves when nothing is left running. Safe to call twice. */
  close(): Promise<void>;
}

export interface Component {
  readonly name: string;
  start(signal: AbortSignal): Promise<Closable>;
}

/** Starts components in order, and closes those started in reverse order on `close` or when a later one fails to start. */
export async function startInOrder(components: readonly Component[], signal: AbortSignal): Promise<Closable> {
  const running: Closable[] = [];
  const close = async (): Promise<void> => {
    for (let one = running.pop(); one !== undefined; one = running.pop()) await one.close();
  };
  try {
    for (const component of components) running.push(await component.start(signal));
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}
