import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { REPOSITORY } from '../real-pair/node-scripts.ts';
import { STATE_SEQUENCES } from './state-sequences.ts';
import { ALL_TELLINGS } from './tellings.ts';

/** Procedures of the specification without those of software update, which the product does not have yet. */
const PROCEDURES = 49;

describe('the procedures of the specification', () => {
  it('are all there', () => {
    expect(Object.keys(STATE_SEQUENCES)).toHaveLength(PROCEDURES);
  });

  it('are all told, and what a telling names it asserts', () => {
    const told = new Set(ALL_TELLINGS.flatMap(({ procedures }) => procedures));
    expect([...told].toSorted()).toEqual(Object.keys(STATE_SEQUENCES).toSorted());
    for (const { procedures, tell } of ALL_TELLINGS) {
      const asserted = [...tell.toString().matchAll(/conformsTo\('([\w-]+)'\)/g)].map(([, id]) => id);
      expect(asserted).toEqual(procedures);
    }
  });

  it('have a page each in the operator’s guide, which tells what is seen and what to do', () => {
    const folder = join(REPOSITORY, 'docs/operations');
    const guide = readFileSync(join(folder, 'README.md'), 'utf8');
    const pages = new Map(
      [...guide.matchAll(/^\| ([A-Z]+-[\w]+) \| [^|]+ \| \[[^\]]+\]\(([\w-]+\.md)[^)]*\) \|$/gm)].map(
        ([, id, page]) => [id, page],
      ),
    );
    expect([...pages.keys()].toSorted()).toEqual(Object.keys(STATE_SEQUENCES).toSorted());
    for (const page of new Set(pages.values())) {
      const text = readFileSync(join(folder, String(page)), 'utf8');
      for (const heading of ['What you see', 'What it means', 'What Understudy does by itself', 'What you do'])
        expect({ page, has: text.includes(`\n## ${heading}`) ? heading : `no "${heading}"` }).toEqual({
          page,
          has: heading,
        });
    }
  });
});
