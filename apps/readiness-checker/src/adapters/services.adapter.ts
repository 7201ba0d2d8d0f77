import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DatabaseFactsQuery, healthQueryOf } from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import type { ServiceEnvironment } from '@understudy/platform';
import { isPeer } from '../ports/counterpart.port.ts';
import type { Probe } from '../ports/probe.port.ts';

const ANSWER_MS = 4000;
const LIMIT_MS = 5000;

/** What this server's other services say. */
export function serviceProbes({ configuration }: ServiceEnvironment, bus: Bus): Probe[] {
  return [
    {
      title: 'health-monitor',
      fields: ['healthMonitor'],
      limitMs: LIMIT_MS,
      measure: async () => {
        // a manager that gives no answer is a finding, not a check that could not be made
        const state = await bus.request(healthQueryOf('health-monitor'), {}, { timeoutMs: ANSWER_MS }).then(
          ({ state, reason }) => (reason === '' ? state : `${state}: ${reason}`),
          (error: Error) => `silent: ${error.message}`,
        );
        return { healthMonitor: { value: state } };
      },
    },
    {
      title: 'PostgreSQL',
      fields: ['database'],
      limitMs: LIMIT_MS,
      measure: async (_, counterpart) => {
        const facts = await bus.request(DatabaseFactsQuery, {}, { timeoutMs: ANSWER_MS });
        const { role, running, usable, streaming, lagBytes } = facts;
        return {
          database: { value: { role, running, usable, streaming, lagBytes, isPaired: isPeer(counterpart) } },
        };
      },
    },
    {
      title: 'version of PostgreSQL',
      fields: ['databaseVersion'],
      limitMs: LIMIT_MS,
      measure: async (signal) => {
        const program = join(configuration.database.binDirectory ?? '', 'postgres');
        const { stdout } = await promisify(execFile)(program, ['--version'], { signal });
        return { databaseVersion: { value: /(\d+(?:\.\d+)*)/.exec(stdout)?.[1] ?? stdout.trim() } };
      },
    },
  ];
}
