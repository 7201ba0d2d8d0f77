import { describe, expect, it } from '@jest/globals';
import type { AcknowledgedWrite, ServerName } from './acknowledged-write.ts';
import { type CarriedOut, excuseOf, windowsOf } from './windows.ts';

let sequence = 0;
function row(server: ServerName, timeline: number, startMs: number, acknowledgedMs: number): AcknowledgedWrite {
  sequence += 1;
  return { run: server, sequence, server, startMs, acknowledgedMs, timeline, transaction: 700 + sequence };
}

describe('windows of two writable servers', () => {
  it('are none when one closes before the other opens, also for a row that was slow to be acknowledged', () => {
    const rows = [
      row('alpha', 1, 0, 10),
      row('alpha', 1, 90, 400),
      row('beta', 2, 100, 200),
      row('alpha', 3, 900, 910),
    ];
    expect(windowsOf(rows)).toEqual([]);
  });

  it('are found where a row is begun on one after another was acknowledged on the other', () => {
    const rows = [
      row('alpha', 1, 0, 10),
      row('beta', 2, 100, 110),
      row('alpha', 1, 111, 120),
      row('alpha', 1, 300, 305),
    ];
    expect(windowsOf(rows)).toEqual([
      {
        older: { server: 'alpha', timeline: 1 },
        newer: { server: 'beta', timeline: 2 },
        fromMs: 110,
        toMs: 305,
        rows: 2,
      },
    ]);
  });

  it('are found although a server has been promoted twice meanwhile', () => {
    const rows = [
      row('beta', 2, 100, 110),
      row('alpha', 3, 200, 210),
      row('beta', 2, 250, 260),
      row('beta', 4, 300, 310),
    ];
    expect(windowsOf(rows)).toMatchObject([{ older: { server: 'beta', timeline: 2 }, fromMs: 210, toMs: 260 }]);
  });

  it('are found where both write under one timeline', () => {
    const rows = [row('alpha', 2, 100, 110), row('beta', 2, 150, 160), row('alpha', 2, 170, 180)];
    const [window] = windowsOf(rows);
    expect(window).toMatchObject({ fromMs: 160, toMs: 180 });
    expect(window && excuseOf(window, [fault('cut the link', 'alpha', 0, null)], false)).toBeNull();
  });
});

function fault(name: string, server: ServerName | null, beginMs: number, endMs: number | null): CarriedOut {
  return { name, server, beginMs, endMs };
}

describe('what excuses a window', () => {
  const window = {
    older: { server: 'alpha', timeline: 1 },
    newer: { server: 'beta', timeline: 2 },
    fromMs: 5000,
    toMs: 20_000,
    rows: 9,
  } as const;

  it('is with a witness no cut, and no frozen part', () => {
    const faults = [fault('cut the link', 'alpha', 0, null), fault('freeze health-monitor', 'alpha', 0, null)];
    expect(excuseOf(window, faults, true)).toBeNull();
  });

  it('is with a witness the standstill of the older server, for a moment after it', () => {
    expect(excuseOf(window, [fault('freeze server', 'alpha', 0, 19_500)], true)).toContain('stood still');
    expect(excuseOf(window, [fault('freeze server', 'alpha', 0, 18_500)], true)).toBeNull();
    expect(excuseOf(window, [fault('freeze server', 'beta', 0, 19_500)], true)).toBeNull();
  });

  it('is without a witness that they cannot hear each other, for some seconds after the cut', () => {
    expect(excuseOf(window, [fault('cut the link', 'beta', 0, 15_000)], false)).toContain('cut the link');
    expect(excuseOf(window, [fault('cut the link', 'beta', 0, 9000)], false)).toBeNull();
    expect(excuseOf(window, [fault('cut the link', 'beta', 6000, 15_000)], false)).toBeNull();
    expect(excuseOf(window, [], false)).toBeNull();
  });
});
