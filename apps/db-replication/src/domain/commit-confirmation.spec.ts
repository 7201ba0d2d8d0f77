import { describe, expect, it } from '@jest/globals';
import { CommitConfirmation, type CommitLook } from './commit-confirmation.ts';

describe('commits are confirmed to wait', () => {
  const look = (change: Partial<CommitLook> = {}): CommitLook => ({
    wait: true,
    sender: 7,
    written: 100n,
    confirmed: 100n,
    isCheckpointerIdle: true,
    ...change,
  });

  it('once the peer has confirmed what was written when they had begun to', () => {
    const confirmation = new CommitConfirmation();
    const seen = [
      confirmation.observe(3, look(), 0),
      confirmation.observe(3, look({ written: 150n, confirmed: 120n }), 1000),
      confirmation.observe(3, look({ written: 170n, confirmed: 149n }), 2000),
      confirmation.observe(3, look({ written: 190n, confirmed: 150n }), 3000),
    ];
    expect(seen).toEqual([null, null, null, 3]);
  });

  it.each([
    ['the checkpointer has not read the setting', { isCheckpointerIdle: false }],
    ['no sender is synchronous', { sender: null }],
    ['the setting is empty', { wait: false }],
  ])('not while %s', (_, change) => {
    const confirmation = new CommitConfirmation();
    for (let atMs = 0; atMs < 9000; atMs += 1000) expect(confirmation.observe(3, look(change), atMs)).toBeNull();
  });

  it('anew for another decision', () => {
    const confirmation = new CommitConfirmation();
    for (const atMs of [0, 1000, 2000]) confirmation.observe(3, look(), atMs);
    const seen = [3000, 4000, 5000].map((atMs) => confirmation.observe(8, look(), atMs));
    expect(seen).toEqual([null, null, 8]);
  });

  it.each([
    ['another sender', look({ sender: 8 })],
    ['no answer', null],
  ])('anew after %s', (_, between) => {
    const confirmation = new CommitConfirmation();
    for (const atMs of [0, 1000, 2000]) confirmation.observe(3, look(), atMs);
    expect(confirmation.observe(3, between, 3000)).toBeNull();
    expect(confirmation.observe(3, look(), 4000)).toBeNull();
  });
});
