import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FILE_CALLS, type FileCalls } from '../ports/file-calls.ts';
import { TwoTrees, treeOf } from '../testing/trees.ts';

/** Few names, so that operations meet. */
const NAMES = ['a', 'b', 'c', 'd/a', 'd/b', 'd/e/a', 'f/a', 'd', 'f', 'g\n\u00ff'] as const;

const Operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), name: name(), length: fc.nat(3000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), name: name() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rename' as const), name: name(), to: name() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('link' as const), name: name(), to: name() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('directory' as const), name: name() }) },
);
type Operation = typeof Operation extends fc.Arbitrary<infer T> ? T : never;

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

function name() {
  return fc.constantFrom(...NAMES);
}

let versions = 0;

/** Does one operation on a tree, whatever is in its way. */
function operate(root: string, operation: Operation): void {
  const at = (path: string) => Buffer.from(join(root, path), 'latin1');
  const parent = (path: string) => at(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.');
  try {
    if (operation.kind === 'remove') {
      rmSync(at(operation.name), { recursive: true, force: true });
      return;
    }
    mkdirSync(parent(operation.kind === 'rename' ? operation.to : operation.name), { recursive: true });
    if (operation.kind === 'rename') renameSync(at(operation.name), at(operation.to));
    if (operation.kind === 'directory') mkdirSync(at(operation.name), { recursive: true });
    if (operation.kind === 'link') symlinkSync(operation.to, at(operation.name));
    if (operation.kind !== 'write') return;
    versions += 1;
    writeFileSync(at(operation.name), `${versions}:`.padEnd(operation.length + 12, '.'));
  } catch (error) {
    if (!('code' in (error as object))) throw error;
  }
}

/** Everything that may be on the standby at a path: what was there before the run, and what the active server has. */
function assertOldOrNew(
  now: Record<string, string>,
  before: Record<string, string>,
  wanted: Record<string, string>,
): void {
  for (const [path, what] of Object.entries(now)) {
    const content = (text: string | undefined) => text?.replace(/^(file|directory) \d+ ?/, '$1 ');
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

function sorted(tree: Record<string, string>): [string, string][] {
  return Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1));
}
