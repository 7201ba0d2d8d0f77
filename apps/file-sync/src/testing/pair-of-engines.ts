import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PeerIdentity } from '@understudy/contracts';
import {
  ensureOwnIdentity,
  type FileSetConfiguration,
  freePorts,
  NodePaths,
  type OwnIdentity,
} from '@understudy/platform';
import type { Direction } from '../domain/direction.ts';
import { type EngineSeams, FileSyncEngine } from '../engine/engine.ts';
import type { Incident } from '../engine/set-report.ts';

const ADDRESS = '127.0.0.1';

/** One server's engine, with its directory `files` as the only set, named `set`. */
export interface Side {
  readonly files: string;
  readonly setAside: string;
  readonly identity: OwnIdentity;
  readonly port: number;
  readonly incidents: Incident[];
  /** Where it keeps what it knows of the set. */
  readonly stateFile: string;
  engine: FileSyncEngine;
  /** Begins another engine with what the one before has kept. */
  readonly begin: () => Promise<FileSyncEngine>;
}

/** Two engines that know each other's certificates, over real HTTPS. What one announces reaches the other at once. */
export class PairOfEngines {
  private readonly directions = new Map<Side, Direction>();
  private readonly timer: NodeJS.Timeout;
  private pairId = 'pair';

  private constructor(
    private readonly directory: string,
    readonly alpha: Side,
    readonly beta: Side,
  ) {
    // the health monitor repeats itself too
    this.timer = setInterval(() => this.repeat(), 500);
  }

  static async open(set: Partial<FileSetConfiguration> = {}, seams: EngineSeams = {}): Promise<PairOfEngines> {
    const directory = mkdtempSync(join(tmpdir(), 'understudy-file-sync-'));
    const [alphaPort, betaPort] = (await freePorts(2)) as [number, number];
    let pair: PairOfEngines | undefined;
    const alpha = await side(directory, 'alpha', alphaPort, set, seams, (name) => pair?.beta.engine.peerChanged(name));
    const beta = await side(directory, 'beta', betaPort, set, seams, (name) => pair?.alpha.engine.peerChanged(name));
    pair = new PairOfEngines(directory, alpha, beta);
    for (const each of [alpha, beta]) await pair.introduce(each);
    return pair;
  }

  /** Tells both health monitors' word: alpha is active, or beta, or nobody. */
  direct(active: 'alpha' | 'beta' | null, epoch = 1): void {
    const way = (name: 'alpha' | 'beta') => (active === null ? 'unknown' : active === name ? 'sends' : 'fetches');
    this.directions.set(this.alpha, { way: way('alpha'), epoch, reason: '' });
    this.directions.set(this.beta, { way: way('beta'), epoch, reason: '' });
    this.repeat();
  }

  /** One server's word alone. */
  directOne(side: Side, direction: Direction): void {
    this.directions.set(side, direction);
    this.repeat();
  }

  /** One server's service ends and starts again. `isKilled`: it has kept nothing when it ended. */
  async restart(side: Side, { isKilled = false } = {}): Promise<void> {
    const kept = isKilled && existsSync(side.stateFile) ? readFileSync(side.stateFile) : null;
    await side.engine.close();
    if (isKilled) rmSync(side.stateFile, { force: true });
    if (kept !== null) writeFileSync(side.stateFile, kept);
    side.engine = await side.begin();
    await this.introduce(side);
    this.repeat();
  }

  /** Another machine, which has nothing yet, takes the place of a server: they are a new pair. */
  async replace(side: Side): Promise<void> {
    await side.engine.close();
    for (const place of [side.files, side.setAside, side.stateFile]) rmSync(place, { recursive: true, force: true });
    mkdirSync(side.files);
    this.pairId += '+';
    side.engine = await side.begin();
    for (const each of [this.alpha, this.beta]) await this.introduce(each);
    this.repeat();
  }

  /** Tells a server who the other one is. */
  private introduce({ engine }: Side): Promise<void> {
    const [name, peer] =
      engine === this.alpha.engine ? (['beta', this.beta] as const) : (['alpha', this.alpha] as const);
    return engine.setPeer({ ...identityOf(name, peer), pairId: this.pairId });
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all([this.alpha.engine.close(), this.beta.engine.close()]);
    rmSync(this.directory, { recursive: true, force: true });
  }

  private repeat(): void {
    for (const [side, direction] of this.directions) side.engine.setDirection(direction);
  }
}

/** What the other server pins. */
export function identityOf(name: string, { identity, port }: Pick<Side, 'identity' | 'port'>): PeerIdentity {
  const { certificatePem, fingerprint } = identity;
  return {
    name,
    role: name === 'alpha' ? 'primary' : 'secondary',
    address: ADDRESS,
    certificatePem,
    fingerprint,
    ports: { healthMonitor: 1, fileSync: port, pairLink: 1, database: 1 },
    pairId: 'pair',
  };
}

/** Waits for a condition, at most 30 s: the machine may be busy. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await delay(10);
  }
}

async function side(
  directory: string,
  name: string,
  port: number,
  set: Partial<FileSetConfiguration>,
  seams: EngineSeams,
  changed: (fileSet: string) => void,
): Promise<Side> {
  const paths = new NodePaths(join(directory, name));
  const files = join(directory, `${name}-files`);
  for (const each of [paths.identity, files]) mkdirSync(each, { recursive: true });
  const identity = await ensureOwnIdentity(paths, { name, address: ADDRESS });
  const incidents: Incident[] = [];
  const setAside = join(paths.setAside, 'files');
  const begin = () =>
    FileSyncEngine.open(
      {
        fileSets: [{ name: 'set', path: files, class: 'realtime', include: ['**'], exclude: [], ...set }],
        own: { address: ADDRESS, port, ...identity },
        stateDirectory: paths.fileSync,
        setAside,
      },
      { incident: (incident) => incidents.push(incident), changed, observed: () => undefined },
      seams,
    );
  const stateFile = join(paths.fileSync, 'set.jsonl');
  return { files, setAside, identity, port, incidents, stateFile, engine: await begin(), begin };
}
