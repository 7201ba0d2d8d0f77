import { execFile } from 'node:child_process';

/** What pings to a host have come to. */
export interface PingResult {
  readonly lossPercent: number;
  /** On average; null: none was answered. */
  readonly roundTripMs: number | null;
}

/** Four pings by the system's `ping`, which may send what an ordinary process may not. Rejects where it is not installed. */
export function ping(address: string, signal: AbortSignal): Promise<PingResult> {
  return new Promise((resolve, reject) => {
    execFile('ping', ['-n', '-q', '-c', '4', '-i', '0.2', '-W', '1', address], { signal }, (error, stdout, stderr) => {
      const result = parsePing(stdout);
      if (result !== null) resolve(result);
      else if (error?.code === 'ENOENT') reject(new Error('ping is not installed on this machine'));
      else reject(new Error(`ping: ${stderr.trim().split('\n')[0] || (error?.message ?? 'it said nothing')}`));
    });
  });
}

/** Reads the summary that `ping -q` ends with, of iputils or of busybox; null when there is none. */
export function parsePing(output: string): PingResult | null {
  const loss = /([\d.]+)% packet loss/.exec(output)?.[1];
  if (loss === undefined) return null;
  const average = /min\/avg\/max\S* = [\d.]+\/([\d.]+)\//.exec(output)?.[1];
  return { lossPercent: Number(loss), roundTripMs: average === undefined ? null : Number(average) };
}
