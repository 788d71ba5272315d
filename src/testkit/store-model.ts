import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  compareKeys,
  type Entry,
  keyInRange,
  type Store,
  type StoreBatch,
  type StoreEvent,
  type StoreWatch,
} from '#store';
import type { OpenedStore, StoreDriver } from './store-contract.ts';

/** One write as the model remembers it. */
interface Fact {
  readonly revision: number;
  readonly key: string;
  readonly value: string | undefined;
  readonly createRevision: number;
  readonly version: number;
}

interface ModelWatch {
  readonly start: string;
  readonly end: string;
  readonly iterator: AsyncIterator<StoreBatch>;
  readonly watch: StoreWatch;
  next: number;
}

type Condition = 'none' | 'right' | 'absent' | 'stale';
type Step =
  | {
      readonly do: 'write';
      readonly writes: readonly { key: string; value: string | undefined; condition: Condition }[];
    }
  | { readonly do: 'read'; readonly start: string; readonly end: string; readonly limit: number; readonly back: number }
  | { readonly do: 'watch'; readonly start: string; readonly end: string; readonly offset: number }
  | { readonly do: 'take' }
  | { readonly do: 'compact'; readonly back: number }
  | { readonly do: 'reopen' };

const keys = ['a', 'a/1', 'a/2', 'a0', 'b', 'b/\u{1f600}', 'b/\uffff', 'c'];
const bounds = ['', 'a', 'a/', 'a0', 'b', 'b0', 'c', 'd'];

/** Random steps on a store and on a list of facts: both must say the same, event for event. */
export async function storeModelTest(
  driver: StoreDriver,
  { runs, remote }: { readonly runs: number; readonly remote: boolean },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step(), { minLength: 5, maxLength: 40 }), async (steps) => {
      const model = new Model(await driver.open(), remote);
      try {
        for (const one of steps) await model.run(one);
        await model.run({ do: 'take' });
        await model.run({ do: 'read', start: '', end: '', limit: 0, back: 0 });
      } finally {
        await model.opened.dispose();
      }
    }),
    { numRuns: runs },
  );
}

function step(): fc.Arbitrary<Step> {
  const key = fc.constantFrom(...keys);
  const bound = fc.constantFrom(...bounds);
  const write = fc.record({
    key,
    value: fc.option(fc.string({ maxLength: 6 }), { nil: undefined, freq: 3 }),
    condition: fc.constantFrom<Condition>('none', 'none', 'right', 'right', 'absent', 'stale'),
  });
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('write' as const),
        writes: fc.array(write, { minLength: 1, maxLength: 6 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('read' as const),
        start: bound,
        end: bound,
        limit: fc.nat(4),
        back: fc.integer({ min: -1, max: 12 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('watch' as const),
        start: bound,
        end: bound,
        offset: fc.integer({ min: -10, max: 4 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const), back: fc.integer({ min: -1, max: 8 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
  );
}

class Model {
  opened: OpenedStore;
  readonly #facts: Fact[] = [];
  #compacted = 1;
  #watches: ModelWatch[] = [];
  readonly #remote: boolean;

  constructor(opened: OpenedStore, remote: boolean) {
    this.opened = opened;
    this.#remote = remote;
  }

  async run(step: Step): Promise<void> {
    if (step.do === 'write') await this.#write(step.writes);
    else if (step.do === 'read') await this.#read(step);
    else if (step.do === 'watch') this.#watch(step);
    else if (step.do === 'take') await this.#take();
    else if (step.do === 'compact') await this.#compact(step.back);
    else await this.#reopen();
    assert.equal(this.#store.revision(), this.#revision, 'revision');
    assert.equal(this.#store.compactedRevision(), this.#compacted, 'compacted revision');
  }

  get #store(): Store {
    return this.opened.store;
  }

  get #revision(): number {
    return this.#facts.length + 1;
  }

  /** All at once: the store must decide them in the order of the calls. (A server: one by one.) */
  async #write(writes: readonly { key: string; value: string | undefined; condition: Condition }[]): Promise<void> {
    if (this.#remote && writes.length > 1) {
      for (const one of writes) await this.#write([one]);
      return;
    }
    const doing = writes.map(({ key, value, condition }) => {
      const before = this.#at(key, this.#revision);
      const ifModRevision = this.#conditionFor(condition, before);
      const applied = ifModRevision === undefined || ifModRevision === (before?.revision ?? 0);
      const changes = applied && (value !== undefined || before !== undefined);
      if (changes) this.#add(key, value, before);
      const revision = changes ? this.#revision : undefined;
      const bytes = value === undefined ? undefined : Buffer.from(value);
      return { before, applied, revision, answer: this.#store.write({ key, value: bytes, ifModRevision }) };
    });
    for (const { before, applied, revision, answer } of doing) {
      const { applied: wasApplied, revision: at, current } = await answer;
      assert.equal(wasApplied, applied);
      if (revision !== undefined) assert.equal(at, revision);
      assert.deepEqual(current && plain(current), before && plainFact(before));
    }
  }

  #conditionFor(condition: Condition, before: Fact | undefined): number | undefined {
    if (condition === 'none') return undefined;
    if (condition === 'absent') return 0;
    if (condition === 'right') return before?.revision ?? 0;
    return Math.max(1, (before?.revision ?? 2) - 1);
  }

  async #read({ start, end, limit, back }: { start: string; end: string; limit: number; back: number }): Promise<void> {
    const revision = this.#revision - back;
    const reading = this.#store.range(back === 0 ? { start, end, limit } : { start, end, limit, revision });
    if (revision > this.#revision) return void (await assert.rejects(reading, { code: 'FutureRevision' }));
    if (revision < this.#compacted) return void (await assert.rejects(reading, { code: 'Compacted' }));
    const wanted = [...keys]
      .sort(compareKeys)
      .filter((key) => keyInRange(key, start, end))
      .map((key) => this.#at(key, revision))
      .filter((fact) => fact !== undefined);
    const result = await reading;
    assert.deepEqual(result.entries.map(plain), wanted.slice(0, limit === 0 ? undefined : limit).map(plainFact));
    assert.deepEqual(
      [result.count, result.more, result.revision],
      [wanted.length, limit > 0 && wanted.length > limit, revision],
    );
    for (const key of keys.slice(0, 3)) {
      const entry = await this.#store.get(key, { revision });
      const fact = this.#at(key, revision);
      assert.deepEqual(entry && plain(entry), fact && plainFact(fact));
    }
  }

  #watch({ start, end, offset }: { start: string; end: string; offset: number }): void {
    const next = Math.max(1, this.#revision + offset);
    const watch = this.#store.watch({ start, end, fromRevision: next });
    this.#watches.push({ start, end, watch, iterator: watch[Symbol.asyncIterator](), next });
  }

  /** Every watch delivers what it owes, no more, no less, or was overtaken by compaction. */
  async #take(): Promise<void> {
    for (const one of [...this.#watches]) {
      const owed = this.#facts.filter(
        ({ revision, key }) => revision >= one.next && keyInRange(key, one.start, one.end),
      );
      const got: StoreEvent[] = [];
      try {
        while (got.length < owed.length) {
          const { value } = await one.iterator.next();
          const { events, revision } = value as StoreBatch;
          got.push(...events);
          one.next = revision + 1;
        }
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'Compacted');
        assert.ok(one.next < this.#compacted, 'compacted for no reason');
        this.#watches = this.#watches.filter((other) => other !== one);
      }
      const done = owed.slice(0, got.length);
      assert.deepEqual(
        got.map(plainEvent),
        done.map((fact) => this.#eventOf(fact)),
      );
    }
  }

  async #compact(back: number): Promise<void> {
    const revision = this.#revision - back;
    if (revision < (this.#remote ? 3 : 1)) return;
    if (revision > this.#revision) {
      await assert.rejects(this.#store.compact(revision), { code: 'FutureRevision' });
      return;
    }
    await this.#store.compact(revision);
    this.#compacted = Math.max(this.#compacted, revision);
  }

  async #reopen(): Promise<void> {
    if (this.opened.reopen === undefined) return;
    this.opened = await this.opened.reopen();
    this.#watches = [];
  }

  #at(key: string, revision: number): Fact | undefined {
    const fact = this.#facts.findLast((one) => one.key === key && one.revision <= revision);
    return fact?.value === undefined ? undefined : fact;
  }

  #add(key: string, value: string | undefined, before: Fact | undefined): void {
    const revision = this.#revision + 1;
    const createRevision = value === undefined ? 0 : (before?.createRevision ?? revision);
    const version = value === undefined ? 0 : (before?.version ?? 0) + 1;
    this.#facts.push({ revision, key, value, createRevision, version });
  }

  #eventOf(fact: Fact): unknown {
    const before = this.#at(fact.key, fact.revision - 1);
    const type = fact.value === undefined ? 'delete' : 'put';
    return [type, fact.key, plainFact(fact), before && plainFact(before)];
  }
}

function plain({ key, value, modRevision, createRevision, version }: Entry): unknown[] {
  return [key, Buffer.from(value).toString(), modRevision, createRevision, version];
}

function plainFact({ key, value, revision, createRevision, version }: Fact): unknown[] {
  return [key, value ?? '', revision, createRevision, version];
}

function plainEvent({ type, key, entry, previous }: StoreEvent): unknown[] {
  return [type, key, plain(entry), previous && plain(previous)];
}
