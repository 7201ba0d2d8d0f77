import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';

/** What a failed scenario is explained with: status, events and last log lines of both servers. */
export async function accountOf(servers: readonly UnderstudyServer[]): Promise<string> {
  const sections: string[] = [];
  for (const server of servers) {
    const name = server.description.name;
    const powered = server.host.isPowered;
    if (powered) await server.refreshHistory().catch(() => {});
    const status = powered ? await server.status() : null;
    const events = server.history
      .eventsSinceMark()
      .slice(-60)
      .map(({ id, at, code, message, previousState, state, rule }) => {
        const change = state === previousState ? '' : ` [${previousState} > ${state}]`;
        return `  ${id} ${at.slice(11, 23)} ${rule ?? '-'} ${code}${change} ${message}`;
      });
    sections.push(
      `--- ${name}: ${powered ? JSON.stringify(status) : 'powered off'}`,
      `--- ${name}, events:`,
      ...events,
      `--- ${name}, log:`,
      ...lastLines(join(server.host.directory, 'log', `${name}.log`), 40),
    );
  }
  return sections.join('\n');
}

function lastLines(file: string, count: number): string[] {
  if (!existsSync(file)) return ['  (none)'];
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(-count)
    .map((line) => `  ${line.slice(0, 400)}`);
}
