import { setTimeout as sleep } from 'node:timers/promises';
import type { EventView } from '@understudy/contracts';
import { CliError, EXIT } from '../cli-error.ts';
import type { GlobalOptions } from '../client/connect.ts';
import { RefusedError, type RestClient } from '../client/rest-client.ts';
import { eventLine, say, sayJson } from '../rendering/output.ts';
import { withClient } from './with-client.ts';

const AGAIN_MS = 1_000;

/** Options of `ha events`. */
export interface EventsOptions extends GlobalOptions {
  readonly follow?: boolean;
  readonly limit: string;
  readonly since?: string;
}

/** `ha events`: oldest first, as a log is read; --follow goes on with what comes, over restarts of the server too. */
export async function events(options: EventsOptions): Promise<void> {
  const query = new URLSearchParams({ limit: options.limit, ...(options.since ? { since: options.since } : {}) });
  await withClient(options, async (client) => {
    const answer = await client.get<{ events: EventView[] }>(`/ha/events?${query}`);
    if (!options.follow && options.json) {
      sayJson(answer);
      return;
    }
    const oldestFirst = [...answer.events].reverse();
    for (const event of oldestFirst) show(event, options);
    if (options.follow) await follow(client, oldestFirst.at(-1)?.id ?? 0, options);
  });
}

async function follow(client: RestClient, from: number, options: EventsOptions): Promise<never> {
  let lastId = from;
  for (;;) {
    try {
      const stream = await client.stream('/ha/events/stream', { 'last-event-id': String(lastId) });
      stream.setEncoding('utf8');
      let rest = '';
      for await (const chunk of stream) {
        const blocks = `${rest}${chunk}`.split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          const data = /^data: (.*)$/m.exec(block)?.[1];
          if (data === undefined) continue;
          const event = JSON.parse(data) as EventView;
          lastId = event.id;
          show(event, options);
        }
      }
    } catch (error) {
      const isRefused = error instanceof RefusedError && error.exitCode === EXIT.refused;
      if (isRefused || (error instanceof CliError && error.exitCode === EXIT.usage)) throw error;
    }
    await sleep(AGAIN_MS);
  }
}

function show(event: EventView, { json }: EventsOptions): void {
  say(json ? JSON.stringify(event) : eventLine(event));
}
