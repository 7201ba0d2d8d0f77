import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { contentOf, type Entry, sameMetadata } from '../domain/entry.ts';
import { Inventory, sameEntry } from './inventory.ts';

const PATHS = ['a', 'b', 'd', 'd/a', '\u00ff', 'x'.repeat(20)];
const path = fc.constantFrom(...PATHS);
const owner = { uid: fc.constantFrom(0, 0xffff_fffe), gid: fc.constantFrom(0, 7) };
const mode = fc.constantFrom(0o644, 0o7777);
const attributes = fc.constantFrom({ 'user.a': 'AA==' }, { 'user.a': 'AQ==' });
const anEntry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('file' as const),
      path,
      mode,
      ...owner,
      mtimeUs: fc.constantFrom(1_700_000_000_123_456, 0, -5),
      size: fc.constantFrom(0, 2 ** 45),
      hash: fc.constantFrom('A'.repeat(43), `${'b-_'.repeat(14)}E`),
      attributes,
    },
    { requiredKeys: ['kind', 'path', 'mode', 'uid', 'gid', 'mtimeUs', 'size', 'hash'] },
  ),
  fc.record({ kind: fc.constant('link' as const), path, ...owner, target: fc.constantFrom('a', '\u00fe') }),
  fc.record(
    { kind: fc.constant('directory' as const), path, mode, ...owner, attributes },
    { requiredKeys: ['kind', 'path', 'mode', 'uid', 'gid'] },
  ),
);
const Step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), entry: anEntry, isSettled: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drop' as const), path }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('want' as const), entry: anEntry }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unwant' as const), path }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('agree' as const), path, entry: anEntry }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('agree-on-wanted' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('agree-up-to' as const), back: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('want-nothing' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('close' as const) }) },
);

const sortedKeys = (map: Iterable<[string, unknown]>) => [...map].map(([key]) => key).sort();

describe('an inventory', () => {
  it('says what plain maps would say, whatever is entered, wanted and agreed', () => {
    fc.assert(
      fc.property(fc.array(Step, { maxLength: 40 }), fc.boolean(), (steps, withOwner) => {
        const inventory = new Inventory(withOwner);
        const entries = new Map<string, { entry: Entry; generation: number }>();
        const wanted = new Map<string, Entry>();
        const agreed = new Map<string, string>();
        const removed = new Map<string, number>();
        for (const step of steps) {
          if (step.do === 'close') inventory.closeGeneration();
          if (step.do === 'put') {
            const { entry, isSettled } = step;
            const before = entries.get(entry.path);
            const isSame = before !== undefined && sameEntry(before.entry, entry);
            const changed = inventory.put({ entry, inode: 2 ** 40, ctimeMs: 1.5, isSettled });
            expect(changed).toBe(!isSame);
            if (!isSame) {
              entries.set(entry.path, { entry, generation: inventory.generation + 1 });
              removed.delete(entry.path);
            }
            expect(inventory.entries.get(entry.path)).toMatchObject({ inode: 2 ** 40, ctimeMs: 1.5, isSettled });
          }
          if (step.do === 'drop') {
            const isThere = entries.delete(step.path);
            if (isThere) removed.set(step.path, inventory.generation + 1);
            expect(inventory.drop(step.path)).toBe(isThere);
          }
          if (step.do === 'want') {
            wanted.set(step.entry.path, step.entry);
            inventory.wanted.set(step.entry.path, step.entry);
          }
          if (step.do === 'unwant') {
            wanted.delete(step.path);
            inventory.wanted.delete(step.path);
          }
          if (step.do === 'want-nothing') {
            wanted.clear();
            inventory.wanted.clear();
          }
          if (step.do === 'agree') {
            agreed.set(step.path, contentOf(step.entry));
            inventory.agreed.set(step.path, contentOf(step.entry));
          }
          if (step.do === 'agree-on-wanted') {
            for (const [at, entry] of wanted) {
              const here = entries.get(at)?.entry;
              if (here !== undefined && contentOf(here) === contentOf(entry)) agreed.set(at, contentOf(entry));
            }
            for (const at of [...agreed.keys()]) if (!wanted.has(at) && !entries.has(at)) agreed.delete(at);
            inventory.agreeOnWanted();
          }
          if (step.do === 'agree-up-to') {
            const limit = inventory.generation - step.back;
            for (const [at, { entry, generation }] of entries)
              if (generation <= limit) agreed.set(at, contentOf(entry));
              else agreed.delete(at);
            for (const at of [...agreed.keys()])
              if (!entries.has(at) && (removed.get(at) ?? 0) <= limit) agreed.delete(at);
            inventory.agreeUpTo(limit);
          }

          expect(new Map([...inventory.entries].map(([at, { entry }]) => [at, entry]))).toEqual(
            new Map([...entries].map(([at, { entry }]) => [at, entry])),
          );
          expect(sortedKeys(inventory.wanted)).toEqual(sortedKeys(wanted));
          for (const [at, entry] of wanted) {
            const said = inventory.wanted.get(at) as Entry;
            // what is here may stand for it, when it counts as the same
            expect([contentOf(said), sameMetadata(said, entry, withOwner)]).toEqual([contentOf(entry), true]);
          }
          expect(new Map(inventory.agreed)).toEqual(agreed);
          expect(PATHS.map((at) => inventory.agreed.has(at))).toEqual(PATHS.map((at) => agreed.has(at)));
          expect(inventory.agreed.isEmpty).toBe(agreed.size === 0);
          expect(inventory.agreedFiles()).toBe([...agreed.values()].filter((content) => content !== '/').length);
          const extra = [...entries.keys()].filter((at) => !wanted.has(at));
          expect(inventory.extra().sort()).toEqual(extra.sort());
          const all = [...entries.values()].map(({ entry }) => entry);
          const hashes = new Set(all.flatMap((entry) => (entry.kind === 'file' ? [entry.hash] : [])).slice(0, 1));
          expect([...inventory.entries.filesWith(hashes)]).toHaveLength(
            all.filter((entry) => entry.kind === 'file' && hashes.has(entry.hash)).length,
          );
          expect(inventory.totals().files).toBe(all.filter(({ kind }) => kind !== 'directory').length);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('keeps more entries than a page has, and takes up rows that have become free', () => {
    const inventory = new Inventory(true);
    const put = (name: string, size: number) => {
      const entry = {
        kind: 'file',
        path: name,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtimeUs: 1,
        size,
        hash: 'A'.repeat(43),
      } as const;
      inventory.put({ entry, inode: size, ctimeMs: 1, isSettled: true });
    };
    for (let index = 0; index < 10_000; index++) put(`f${index}`, index);
    for (let index = 0; index < 10_000; index += 2) inventory.drop(`f${index}`);
    for (let index = 0; index < 6000; index++) put(`g${index}`, 100_000 + index);
    expect(inventory.entries.size).toBe(11_000);
    for (const index of [1, 4095, 4097, 9999]) expect(inventory.entries.get(`f${index}`)?.inode).toBe(index);
    for (const index of [0, 4096, 5999])
      expect(inventory.entries.get(`g${index}`)?.entry).toMatchObject({ size: 100_000 + index });
    expect(inventory.entries.get('f0')).toBeUndefined();
  });
});
