import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../real-pair/deadline.ts';
import { signal } from '../real-pair/namespaces.ts';
import type { RealPair } from '../real-pair/real-pair.ts';
import type { SmallDisk } from '../real-pair/small-disk.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import type { Witness } from '../real-pair/witness.ts';
import { APPLICATION, type FaultKind, RUNNER, WAL_RECEIVER, WHOLE_SERVER } from './fault-kinds.ts';

/** What faults are done to. */
export interface Victims {
  readonly pair: RealPair;
  readonly witness: Witness | null;
  readonly diskOf: (server: UnderstudyServer) => SmallDisk;
}

/** A fault that lasts. */
export interface Struck {
  /** Ends it. */
  mend(): Promise<void> | void;
  /** What became of it beyond that it was done. */
  readonly note?: string;
}

const REFILL_MS = 300;
const MAINTENANCE_MINUTES = 2;

/** Does a fault to `server` (or to what has nothing to do with one server). Throws when it cannot be done at this moment. */
export async function strike(kind: FaultKind, server: UnderstudyServer, victims: Victims): Promise<Struck> {
  const { stage } = victims.pair;
  const { host } = server;
  switch (kind.act) {
    case 'kill':
      return kill(kind.part, server);
    case 'freeze':
      return freeze(kind.part, server);
    case 'cut-link':
      host.cutLink();
      return { mend: () => healLink(server) };
    case 'cut-link-silently':
      host.cutLinkSilently();
      return { mend: () => healLink(server) };
    case 'lose-outgoing':
      host.loseOutgoing();
      return { mend: () => host.endLosses() };
    case 'lose-incoming':
      host.loseIncoming();
      return { mend: () => host.endLosses() };
    case 'part-servers':
      stage.partServers();
      return { mend: () => stage.joinServers() };
    case 'kill-witness':
    case 'wipe-witness':
      victims.witness?.kill();
      if (kind.act === 'wipe-witness') victims.witness?.wipe();
      return { mend: () => victims.witness?.start() };
    case 'freeze-witness':
      victims.witness?.freeze();
      return { mend: () => victims.witness?.thaw() };
    case 'fill-disk':
      return fillDisk(victims.diskOf(server));
    case 'lose-node-store':
      host.kill(server.servicePid('redis-server'));
      removeFilesIn(join(server.dataDirectory, 'redis'));
      return { mend: () => {} };
    case 'lose-journal':
      server.loseRecord({ withStore: false });
      return { mend: () => {} };
    case 'lose-record':
      server.die();
      server.loseRecord({ withStore: true });
      return { mend: () => powerOn(server) };
    case 'switch':
      return orderSwitch(victims.pair);
    case 'maintenance':
      return beginMaintenance(server, victims.pair);
  }
}

/** A host that has died meanwhile comes back with its cable in. */
function healLink({ host }: UnderstudyServer): void {
  if (host.isPowered) host.healLink();
}

function powerOn(server: UnderstudyServer): void {
  if (server.host.isPowered) return;
  server.host.powerOn();
  server.boot();
}

function kill(part: string, server: UnderstudyServer): Struck {
  if (part === WHOLE_SERVER) {
    server.die();
    return { mend: () => powerOn(server) };
  }
  for (const pid of pidsOf(part, server)) server.host.kill(pid);
  return { mend: () => {} };
}

function freeze(part: string, server: UnderstudyServer): Struck {
  const pids = pidsOf(part, server);
  for (const pid of pids) signal(pid, 'SIGSTOP');
  return {
    mend: () => {
      // what was killed meanwhile may have given its id to another process
      const living = new Set(server.host.isPowered ? server.host.processes().map(({ pid }) => pid) : []);
      for (const pid of pids) if (living.has(pid)) signal(pid, 'SIGCONT');
    },
  };
}

/** The processes of a part. Throws when there is none at this moment. */
function pidsOf(part: string, server: UnderstudyServer): number[] {
  const found = (wanted: (commandLine: string) => boolean) =>
    server.processes().flatMap(({ pid, commandLine }) => (wanted(commandLine) ? [pid] : []));
  const pids = () => {
    switch (part) {
      case WHOLE_SERVER:
        return found(() => true);
      case RUNNER:
        return [server.runnerPid() ?? []].flat();
      case 'postgres':
        return [server.postmasterPid()];
      case WAL_RECEIVER:
        return found((commandLine) => /^postgres: .*walreceiver/.test(commandLine));
      case APPLICATION:
        return found((commandLine) => commandLine.includes('application.sh'));
      default:
        return [server.servicePid(part)];
    }
  };
  const living = pids();
  if (living.length === 0) throw new Error(`no ${part} on ${server.description.name}`);
  return living;
}

async function fillDisk(disk: SmallDisk): Promise<Struck> {
  await disk.fill();
  let filling: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    filling = filling.then(() => disk.fill());
  }, REFILL_MS);
  return {
    mend: async () => {
      clearInterval(timer);
      await filling;
      disk.free();
    },
  };
}

function removeFilesIn(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true });
}

/** The operator's order by which the role changes hands without a loss. That it is refused or fails is an outcome. */
async function orderSwitch({ primary, secondary }: RealPair): Promise<Struck> {
  const isSwapped = (await secondary.status())?.currentRole === 'active';
  const path = isSwapped ? '/ha/failback' : '/ha/forced-failover';
  const outcome = await secondary.ask('POST', path, {});
  if (!outcome.accepted) return { mend: () => {}, note: `${path} was refused: ${outcome.detail}` };
  const ended = await secondary.ended(outcome.operationId, { withinMs: 60_000 }).catch((error: Error) => error);
  const note = ended instanceof Error ? `${path}: ${ended.message}` : `${path} ${ended.state} ${ended.error ?? ''}`;
  return {
    mend: () => {},
    note: `${note.trim()} (asked of ${secondary.description.name}, ${primary.description.name} ${isSwapped ? 'takes' : 'gives'} the role)`,
  };
}

async function beginMaintenance(server: UnderstudyServer, pair: RealPair): Promise<Struck> {
  const body = { minutes: MAINTENANCE_MINUTES, reason: 'chaos' };
  const { status, body: text } = await server.rest('POST', '/ha/maintenance', { body, timeoutMs: 10_000 });
  if (status !== 200) return { mend: () => {}, note: `refused: ${text.slice(0, 200)}` };
  return { mend: () => endMaintenance(pair) };
}

/** Ends it on every server that knows of it, as soon as that server answers. */
async function endMaintenance(pair: RealPair): Promise<void> {
  for (const server of pair.servers) {
    const ended = async () => {
      if (!server.host.isPowered) throw new Error('powered off');
      const seen = await server.status();
      if (seen && !seen.maintenance) return true;
      await server.rest('DELETE', '/ha/maintenance');
      return false;
    };
    // one that cannot be asked ends it by itself, by its time
    await until('maintenance ends', { withinMs: 15_000, everyMs: 1000 }, ended).catch(() => {});
  }
}
