import { expect, it } from '@jest/globals';
import type { ReadinessCheck, ReadinessReport } from '@understudy/contracts';
import { readinessLines } from './readiness.ts';

const line = (name: string, status: ReadinessCheck['status'], reason: string) =>
  ({
    name,
    status,
    reason,
    impact: 'slow',
    recommendation: 'mend it',
    primary: '8',
    secondary: null,
    previous: null,
  }) as unknown as ReadinessCheck;

it('says once why many lines are not checked, and each time what is wrong', () => {
  const alone = 'secondary: not checked: no pair';
  const checks = [
    line('A', 'not-checked', alone),
    line('B', 'not-checked', alone),
    line('C', 'failed', 'too slow'),
    line('D', 'failed', 'too slow'),
    line('E', 'not-checked', alone),
  ];
  const report = { checks, overall: 'failed', comparedWith: null, durationMs: 1000 } as unknown as ReadinessReport;
  const lines = readinessLines(report).map((text) => text.trim());
  expect(lines.filter((text) => text === alone)).toHaveLength(2);
  expect(lines.filter((text) => text === 'too slow')).toHaveLength(2);
  expect(lines.filter((text) => text === 'primary: 8; secondary: -')).toHaveLength(checks.length);
});
