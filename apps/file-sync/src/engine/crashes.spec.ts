import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FILE_CALLS, type FileCalls } from '../ports/file-calls.ts';
import { Operation, operate } from '../testing/operations.ts';
import { TwoTrees, treeOf } from '../testing/trees.ts';
import type { OpenContent } from './fetcher.ts';

/** The process ends between two system calls. */
class Crash extends Error {}

/** The machine's system calls, until one before which the process ends. */
function callsUntilCrash(count: number): FileCalls {
  let left = count;
  return new Proxy(FILE_CALLS, {
    get: (calls, name) => {
      const call = calls[name as keyof FileCalls] as (...args: unknown[]) => unknown;
      // the end of a process closes everything, and so must the test
      if (name === 'closeSync') return call;
      return (...args: unknown[]) => {
        left -= 1;
        if (left < 0) throw new Crash(String(name));
        return call.apply(calls, args);
      };
    },
  });
}

/** Everything that may be on the standby at a path: what was there before the run, and what the active server has. */
function assertOldOrNew(
  now: Record<string, string>,
  before: Record<string, string>,
  wanted: Record<string, string>,
): void {
  for (const [path, what] of Object.entries(now)) {
    const content = (text: string | undefined) => text?.replace(/^(file|directory) \S+ ?/, '$1 ');
    if (what.startsWith('directory')) continue;
    if (content(what) === content(before[path]) || content(what) === content(wanted[path])) continue;
    throw new Error(`${JSON.stringify(path)} is neither old nor new: ${what.slice(0, 60)}`);
  }
}

describe('a standby that is killed between any two system calls', () => {
  it('has old and new files only, and the active server’s tree after the next run', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            here: fc.array(Operation, { minLength: 1, maxLength: 8 }),
            byHand: fc.array(Operation, { maxLength: 2 }),
            crashes: fc.array(fc.nat(150), { maxLength: 3 }),
            keeps: fc.boolean(),
          }),
          { minLength: 1, maxLength: 4 },
        ),
        async (rounds) => {
          const trees = new TwoTrees();
          try {
            for (const { here, byHand, crashes, keeps } of rounds) {
              for (const operation of here) operate(trees.active, operation);
              for (const operation of byHand) operate(trees.standby, operation);
              const wanted = treeOf(trees.active);
              for (const count of crashes) {
                const before = treeOf(trees.standby);
                trees.restartSink(callsUntilCrash(count), { keeps });
                await trees.run().catch((error: unknown) => {
                  if (!(error instanceof Crash)) throw error;
                });
                assertOldOrNew(treeOf(trees.standby), before, wanted);
              }
              trees.restartSink(FILE_CALLS, { keeps });
              const { problems } = await trees.run();
              if (problems.length > 0) throw new Error(JSON.stringify(problems));
              const [left, right] = [treeOf(trees.standby), wanted].map((tree) => JSON.stringify(sorted(tree)));
              if (left !== right) throw new Error(`${left}\nis not\n${right}`);
            }
          } finally {
            trees.remove();
          }
        },
      ),
      { numRuns: Number(process.env.UNDERSTUDY_FILE_RUNS ?? 50) },
    );
  }, 300_000);

  it('has the old or the new version of a large file that was changed in part', async () => {
    const trees = new TwoTrees();
    try {
      const bytes = randomBytes(1_100_000);
      writeFileSync(join(trees.active, 'large'), bytes);
      await trees.run();
      let isCrashed = true;
      for (let count = 0; isCrashed; count++) {
        bytes.writeUInt32BE(count, 500_000);
        writeFileSync(join(trees.active, 'large'), bytes);
        const [before, wanted] = [treeOf(trees.standby), treeOf(trees.active)];
        const { inventory } = trees.sink;
        trees.restartSink(callsUntilCrash(count), { keeps: true });
        // what the service had saved
        for (const tracked of inventory.entries.values()) trees.sink.inventory.put(tracked);
        isCrashed = await trees.run().then(
          ({ receivedBytes }) => {
            expect(receivedBytes).toBeLessThan(100_000);
            return false;
          },
          (error: unknown) => {
            if (!(error instanceof Crash)) throw error;
            return true;
          },
        );
        assertOldOrNew(treeOf(trees.standby), before, wanted);
        trees.restartSink(FILE_CALLS, { keeps: true });
        if ((await trees.run()).problems.length > 0) throw new Error('it was not synchronised after the crash');
        expect(treeOf(trees.standby)).toEqual(wanted);
      }
    } finally {
      trees.remove();
    }
  }, 120_000);
});

describe('an atomic set', () => {
  const Round = fc.record({
    here: fc.array(Operation, { minLength: 1, maxLength: 8 }),
    crashes: fc.array(fc.nat(150), { maxLength: 3 }),
    keeps: fc.boolean(),
  });

  it('is the old or the new generation as a whole once the service has started again, without the peer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(Round, { minLength: 1, maxLength: 4 }), async (rounds) => {
        const trees = new TwoTrees({ atomic: true });
        try {
          for (const { here, crashes, keeps } of rounds) {
            for (const operation of here) operate(trees.active, operation);
            const wanted = JSON.stringify(sorted(treeOf(trees.active)));
            for (const count of crashes) {
              const before = JSON.stringify(sorted(treeOf(trees.standby)));
              trees.restartSink(callsUntilCrash(count), { keeps });
              await trees.run().catch((error: unknown) => {
                if (!(error instanceof Crash)) throw error;
              });
              // and once more while it is completed
              trees.restartSink(callsUntilCrash(Math.floor(count / 2)), { keeps });
              await trees.completeStep().catch((error: unknown) => {
                if (!(error instanceof Crash)) throw error;
              });
              trees.restartSink(FILE_CALLS, { keeps });
              await trees.completeStep();
              const now = JSON.stringify(sorted(treeOf(trees.standby)));
              if (now !== before && now !== wanted) throw new Error(`${now}\nis neither\n${before}\nnor\n${wanted}`);
            }
            trees.restartSink(FILE_CALLS, { keeps });
            const { problems } = await trees.run();
            if (problems.length > 0) throw new Error(JSON.stringify(problems));
            expect(JSON.stringify(sorted(treeOf(trees.standby)))).toBe(wanted);
          }
        } finally {
          trees.remove();
        }
      }),
      { numRuns: Number(process.env.UNDERSTUDY_FILE_RUNS ?? 50) },
    );
  }, 300_000);

  it('stays as it was when one file of the new generation cannot be had', async () => {
    const trees = new TwoTrees({ atomic: true });
    try {
      for (const name of ['a', 'b']) writeFileSync(join(trees.active, name), 'old');
      await trees.run();
      for (const name of ['a', 'b', 'c']) writeFileSync(join(trees.active, name), `new ${name}`);
      const before = treeOf(trees.standby);
      const content = trees.content();
      const openContent: OpenContent = async function* (wants) {
        for await (const frame of content(wants.slice(0, -1))) yield frame;
        yield { kind: 'begin', index: wants.length - 1 };
        yield { kind: 'failed', reason: 'it has changed since' };
      };
      expect((await trees.run({ openContent })).problems).toHaveLength(1);
      expect(treeOf(trees.standby)).toEqual(before);
      expect((await trees.run()).problems).toEqual([]);
      expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
    } finally {
      trees.remove();
    }
  });

  it('gives a directory that takes the place of a file its mode, wherever the step was left', async () => {
    for (let count = 0; count < 80; count++) {
      const trees = new TwoTrees({ atomic: true });
      try {
        const place = join(trees.active, 'a');
        writeFileSync(place, 'old');
        await trees.run();
        const before = JSON.stringify(treeOf(trees.standby));
        rmSync(place);
        mkdirSync(place, { mode: 0o755 });
        trees.restartSink(callsUntilCrash(count));
        await trees.run().catch((error: unknown) => {
          if (!(error instanceof Crash)) throw error;
        });
        trees.restartSink();
        await trees.completeStep();
        expect([before, JSON.stringify(treeOf(trees.active))]).toContain(JSON.stringify(treeOf(trees.standby)));
      } finally {
        trees.remove();
      }
    }
  });

  it('that was left half way keeps what its application has changed since', async () => {
    const trees = new TwoTrees({ atomic: true });
    try {
      for (const name of ['a', 'b', 'c', 'd']) writeFileSync(join(trees.active, name), 'old');
      await trees.run();
      for (const name of ['a', 'b', 'c']) writeFileSync(join(trees.active, name), `new ${name}`);
      rmSync(join(trees.active, 'd'));
      await endsAfterTheFirstName(trees);
      writeFileSync(join(trees.standby, 'b'), 'of the application');
      writeFileSync(join(trees.standby, 'd'), 'of the application too');
      expect(await trees.completeStep()).toEqual([]);
      expect(treeOf(trees.standby)).toEqual({
        a: 'file 644 new a',
        b: 'file 644 of the application',
        c: 'file 644 new c',
        d: 'file 644 of the application too',
      });
      expect(await trees.completeStep()).toBeNull();
    } finally {
      trees.remove();
    }
  });

  it('that was left half way tells what it keeps aside when it is completed', async () => {
    const trees = new TwoTrees({ atomic: true });
    try {
      for (const name of ['a', 'b']) writeFileSync(join(trees.active, name), 'old');
      await trees.run();
      for (const name of ['a', 'b']) writeFileSync(join(trees.active, name), `new ${name}`);
      writeFileSync(join(trees.standby, 'b'), 'by hand');
      await endsAfterTheFirstName(trees);
      const aside = trees.asideNow();
      expect(await trees.completeStep(aside)).toEqual([]);
      expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
      expect(aside.kept).toEqual(['b']);
      expect(readFileSync(join(aside.folder, 'b'), 'utf8')).toBe('by hand');
    } finally {
      trees.remove();
    }
  });
});

it('what a run has kept aside is told by the next process when its own has ended before', async () => {
  const trees = new TwoTrees();
  try {
    for (const name of ['a', 'b', 'c']) writeFileSync(join(trees.active, name), 'old');
    await trees.run();
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(join(trees.active, name), 'new');
      writeFileSync(join(trees.standby, name), `${name} by hand`);
    }
    expect(trees.asideUntold()).toBeNull();
    await endsAfterTheFirstName(trees);
    const untold = trees.asideUntold();
    expect(untold?.kept).toEqual(['a', 'b', 'c']);
    expect(readFileSync(join(untold?.folder ?? '', 'a'), 'utf8')).toBe('a by hand');
    untold?.told();
    expect(trees.asideUntold()).toBeNull();
  } finally {
    trees.remove();
  }
});

/** A run gives the first of its files their names, and then the process ends; the next one has not looked at anything yet. */
async function endsAfterTheFirstName(trees: TwoTrees): Promise<void> {
  let renames = 0;
  const calls = new Proxy(FILE_CALLS, {
    get: (real, name) => {
      if (name === 'renameSync' && ++renames === 3) throw new Crash('renameSync');
      return real[name as keyof FileCalls];
    },
  });
  trees.restartSink(calls, { keeps: true });
  await expect(trees.run()).rejects.toThrow(Crash);
  trees.restartSink(FILE_CALLS, { keeps: true });
}

function sorted(tree: Record<string, string>): [string, string][] {
  return Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1));
}
