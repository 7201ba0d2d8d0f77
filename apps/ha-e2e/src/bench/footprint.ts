import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { monotonicMs, pause } from '../real-pair/deadline.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import type { Footprint } from './measured-run.ts';

/** Measures what idle servers cost over `seconds`, all at the same time. */
export async function footprintsOf(servers: readonly UnderstudyServer[], seconds: number): Promise<Footprint[]> {
  const before = servers.map(ownProcesses);
  const startMs = monotonicMs();
  await pause(seconds * 1000);
  const elapsedSeconds = (monotonicMs() - startMs) / 1000;
  return servers.map((server, index) => {
    const after = ownProcesses(server);
    const cpuSeconds = after.cpuSeconds - (before[index]?.cpuSeconds ?? 0);
    return {
      layout: server.layout,
      server: server.description.name,
      processes: after.count,
      pssMib: after.pssKib / 1024,
      cpuPercent: (cpuSeconds / elapsedSeconds) * 100,
      seconds,
    };
  });
}

function ownProcesses(server: UnderstudyServer): { count: number; pssKib: number; cpuSeconds: number } {
  const sum = { count: 0, pssKib: 0, cpuSeconds: 0 };
  for (const { pid } of server.processes()) {
    try {
      if (basename(readlinkSync(`/proc/${pid}/exe`)) !== 'node') continue;
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      // utime, stime, and those of children that have ended: short-lived helpers count too.
      const ticks = fields.slice(11, 15).reduce((total, value) => total + value, 0);
      const pss = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Pss:\s+(\d+) kB/m)?.[1];
      sum.count += 1;
      sum.pssKib += Number(pss ?? 0);
      sum.cpuSeconds += ticks / ticksPerSecond();
    } catch {
      // ended between the two looks
    }
  }
  return sum;
}

let cachedTicks: number | undefined;
function ticksPerSecond(): number {
  cachedTicks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return cachedTicks;
}
