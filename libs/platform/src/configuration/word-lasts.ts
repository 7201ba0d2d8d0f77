import type { NodeConfiguration } from './configuration.schema.ts';

const MARGIN_MS = 5000;

/**
 * How long, in milliseconds, the word of an active server counts that its commits wait for the standby, when there is no witness: longer
 * than a standby takes to find out that it is lost (missed beats, grace time, the URL).
 */
export function wordLastsMs(heartbeat: NodeConfiguration['heartbeat']): number {
  const { intervalSeconds, missedLimit, graceSeconds, probeTimeoutSeconds } = heartbeat;
  return (intervalSeconds * (missedLimit + 1) + graceSeconds + probeTimeoutSeconds) * 1000 + MARGIN_MS;
}
