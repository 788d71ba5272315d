/** Prints what failed, with its error, and the counts at the end; the dots come from node's own reporter. */
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

export default async function* failures(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  let todo = 0;
  for await (const event of source) {
    if (event.type === 'test:pass' && event.data.details.type !== 'suite') {
      if (event.data.skip !== undefined) skipped++;
      else passed++;
      if (typeof event.data.skip === 'string') yield `\nskipped: ${event.data.name}: ${event.data.skip}\n`;
    }
    if (event.type === 'test:fail' && event.data.todo !== undefined) {
      todo++;
      yield `\nnot yet: ${event.data.name}\n`;
    } else if (event.type === 'test:fail' && event.data.details.type !== 'suite') {
      failed++;
      const { error } = event.data.details;
      yield `\nFAILED ${event.data.file}:${event.data.line} ${event.data.name}\n${inspect(error.cause ?? error, { depth: 4 })}\n`;
    }
  }
  if (todo > 0) yield `\n${todo} not yet (todo)\n`;
  yield `\n${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}
