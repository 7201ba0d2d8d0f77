import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusView } from '@understudy/contracts';
import type { RestClient } from './rest-client.ts';

const POLL_MS = 250;
const WAIT_MS_MAX = 90_000;

/**
 * A server that was started a moment ago refuses a registration until its database and processes run: waits for that, at most 90 s,
 * and says so once. Returns at once in every other case; the server itself then says why it refuses.
 */
export async function waitUntilStarted(client: RestClient, say: (line: string) => void): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  let hasSaid = false;
  while (performance.now() < deadline) {
    const { node, currentRole, configurationMode, unavailableActions } = await client.get<StatusView>('/ha/status');
    const refusal = unavailableActions.find(({ action }) => action === 'register');
    if (
      !refusal ||
      node.homeRole === 'secondary' ||
      currentRole !== 'none' ||
      configurationMode !== 'HA Not Configured'
    )
      return;
    if (!hasSaid) say(`Waiting for this server to start: ${refusal.reason}`);
    hasSaid = true;
    await sleep(POLL_MS);
  }
}
