import type { ReadinessCheck, ReadinessReport, ReadinessStatus } from '@understudy/contracts';

const WORDS: Readonly<Record<ReadinessStatus, string>> = {
  passed: 'Passed',
  warning: 'Warning',
  failed: 'Failed',
  'not-checked': 'Not checked',
};
const WIDTH = Math.max(...Object.values(WORDS).map(({ length }) => length));

/** The checklist for people: a line for each check, and below it what is wrong, what it leads to, what to do, what has changed. */
export function readinessLines({ checks, overall, comparedWith, durationMs }: ReadinessReport): string[] {
  const counts = Object.entries(WORDS).flatMap(([status, word]) => {
    const count = checks.filter((line) => line.status === status).length;
    return count === 0 ? [] : [`${count} ${word.toLowerCase()}`];
  });
  const compared = comparedWith === null ? '' : `, compared with the run of ${comparedWith}`;
  return [
    ...checks.flatMap(linesOf),
    `[Readiness] ${WORDS[overall]}: ${counts.join(', ')} (${(durationMs / 1000).toFixed(1)} s${compared})`,
  ];
}

function linesOf(line: ReadinessCheck): string[] {
  const { name, status, reason, impact, recommendation, primary, secondary, previous } = line;
  const values = `primary: ${primary ?? '-'}; secondary: ${secondary ?? '-'}`;
  const changed = previous !== null && previous.status !== status ? [`was: ${WORDS[previous.status]}`] : [];
  const trouble = status === 'passed' ? [] : [reason, `impact: ${impact}`, `recommendation: ${recommendation}`];
  const indent = ' '.repeat(WIDTH + 2);
  return [
    `${WORDS[status].padEnd(WIDTH)}  ${name}`,
    ...[values, ...trouble, ...changed].map((text) => `${indent}${text}`),
  ];
}
