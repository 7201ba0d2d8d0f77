import type { ReadinessCheck, ReadinessReport, ReadinessStatus } from '@understudy/contracts';

const WORDS: Readonly<Record<ReadinessStatus, string>> = {
  passed: 'Passed',
  warning: 'Warning',
  failed: 'Failed',
  'not-checked': 'Not checked',
};
const WIDTH = Math.max(...Object.values(WORDS).map(({ length }) => length));

/**
 * The checklist for people: a line for each check, and below it what is wrong, what it leads to, what to do, what has changed. What is not
 * checked for the same reason as the line above it does not repeat it.
 */
export function readinessLines({ checks, overall, comparedWith, durationMs, firewall }: ReadinessReport): string[] {
  const counts = Object.entries(WORDS).flatMap(([status, word]) => {
    const count = checks.filter((line) => line.status === status).length;
    return count === 0 ? [] : [`${count} ${word.toLowerCase()}`];
  });
  const compared = comparedWith === null ? '' : `, compared with the run of ${comparedWith}`;
  return [
    ...checks.flatMap((line, index) => linesOf(line, checks[index - 1])),
    ...(firewall === undefined ? [] : firewallLines(firewall)),
    `[Readiness] ${WORDS[overall]}: ${counts.join(', ')} (${(durationMs / 1000).toFixed(1)} s${compared})`,
  ];
}

/** What was changed, and how it is taken back. */
function firewallLines(changes: NonNullable<ReadinessReport['firewall']>): string[] {
  if (changes.length === 0) return ['[Firewall] No port is closed by a firewall: nothing was added.'];
  const lines = changes.flatMap(({ server, added, problem }) => [
    ...added.flatMap(({ rule, undo }) => [
      `[Firewall] Added on the ${server}: ${rule}`,
      `           take it away with: ${undo}`,
    ]),
    ...(problem === null ? [] : [`[Firewall] Not opened on the ${server}: ${problem}`]),
  ]);
  const hasAdded = changes.some(({ added }) => added.length > 0);
  return hasAdded
    ? [...lines, '[Firewall] The rules last until the firewall is loaded anew: keep them in its own configuration.']
    : lines;
}

function linesOf(line: ReadinessCheck, before: ReadinessCheck | undefined): string[] {
  const { name, status, reason, impact, recommendation, primary, secondary, previous } = line;
  // a server that does not answer, or is not registered, leaves most of the list unchecked for one and the same reason
  const isRepeated = status === 'not-checked' && before?.status === status && before.reason === reason;
  const values = `primary: ${primary ?? '-'}; secondary: ${secondary ?? '-'}`;
  const changed = previous !== null && previous.status !== status ? [`was: ${WORDS[previous.status]}`] : [];
  const isSaid = status === 'passed' || isRepeated;
  const trouble = isSaid ? [] : [reason, `impact: ${impact}`, `recommendation: ${recommendation}`];
  const indent = ' '.repeat(WIDTH + 2);
  return [
    `${WORDS[status].padEnd(WIDTH)}  ${name}`,
    ...[values, ...trouble, ...changed].map((text) => `${indent}${text}`),
  ];
}
