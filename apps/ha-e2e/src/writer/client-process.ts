import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Host } from '../real-pair/host.ts';
import { nodeBinary } from '../real-pair/node-scripts.ts';

/** A script that writes to a database from a host, until it is told to end. */
export type ClientProcess = ChildProcessByStdio<Writable, Readable, null>;

const END_LIMIT_MS = 5000;

/** Starts it; each line that it says goes to `onLine`. It ends with this process at the latest. */
export function startClient(
  host: Host,
  script: string,
  words: {
    readonly run: string;
    readonly pauseMs: number;
    readonly targets: readonly string[];
    readonly connectTimeoutMs?: number;
  },
  onLine: (line: string) => void,
): ClientProcess {
  const timeout = words.connectTimeoutMs === undefined ? [] : [String(words.connectTimeoutMs)];
  const command = [nodeBinary(), script, words.run, String(words.pauseMs), words.targets.join(','), ...timeout];
  const child = spawn('ip', ['netns', 'exec', host.namespace, ...command], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: host.environment(),
  });
  child.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', onLine);
  return child;
}

/** Ends one that has not ended yet; resolves when all that it said has been heard. */
export async function endClient(child: ClientProcess): Promise<void> {
  const hasExited = child.exitCode !== null || child.signalCode !== null;
  if (hasExited && child.stdout.destroyed) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  const forced = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS);
  await ended;
  clearTimeout(forced);
}
