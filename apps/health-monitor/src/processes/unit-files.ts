import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '@understudy/platform';

const DROP_IN = '50-understudy.conf';

/** Where the files that concern units are on this machine. */
export interface UnitPlaces {
  /** Directory of the operator's units: what is there outlives a reboot. */
  readonly units: string;
  /** Directory of permits, on a file system that is empty after a reboot. */
  readonly permits: string;
}

/** Those of the system's own systemd. */
export const SYSTEM_PLACES: UnitPlaces = { units: '/etc/systemd/system', permits: '/run/understudy' };

/**
 * What ties a unit to this server: a drop-in, which lets it start only while there is a permit, and leaves restarting it to us; and the
 * permit, which is there while the unit is wanted, and tells it its environment. A permit does not outlive a reboot, so that nothing
 * starts the unit then but we.
 */
export class UnitFiles {
  private readonly directory: string;
  private readonly permit: string;
  readonly dropIn: string;
  readonly environment: string;

  constructor(
    private readonly places: UnitPlaces,
    unit: string,
    wish: { dataDirectory: string; stopSeconds: number; environment: Readonly<Record<string, string>> },
  ) {
    this.directory = join(places.units, `${unit}.d`);
    this.permit = join(places.permits, `${unit}.permit`);
    this.environment = Object.entries(wish.environment)
      .map(([name, value]) => `${name}="${value.replaceAll(/["\\`$]/g, '\\$&')}"\n`)
      .join('');
    this.dropIn = `# Understudy runs this unit on the server that is active, and only there.
${ownerLine(wish.dataDirectory)}
[Unit]
ConditionPathExists=${this.permit}
StartLimitIntervalSec=0

[Service]
EnvironmentFile=${this.permit}
Restart=no
TimeoutStopSec=${wish.stopSeconds}
`;
  }

  /** Resolves with whether something has changed: systemd has to be told. */
  async writeDropIn(): Promise<boolean> {
    const file = join(this.directory, DROP_IN);
    if (textOf(file) === this.dropIn) return false;
    mkdirSync(this.directory, { recursive: true });
    await writeFileAtomically(file, this.dropIn, { mode: 0o644 });
    return true;
  }

  allow(): void {
    mkdirSync(this.places.permits, { recursive: true, mode: 0o755 });
    writeFileSync(this.permit, this.environment, { mode: 0o600 });
  }

  forbid(): void {
    rmSync(this.permit, { force: true });
  }
}

/** Gives units back to the operator that this server has tied to itself and does not know any more; resolves with their names. */
export function releaseUnits(places: UnitPlaces, dataDirectory: string, known: ReadonlySet<string>): string[] {
  const released = tiedUnits(places, dataDirectory).filter((unit) => !known.has(unit));
  for (const unit of released) {
    rmSync(join(places.units, `${unit}.d`, DROP_IN), { force: true });
    rmSync(join(places.permits, `${unit}.permit`), { force: true });
  }
  return released;
}

function tiedUnits({ units }: UnitPlaces, dataDirectory: string): string[] {
  if (!existsSync(units)) return []; // a machine without systemd
  const directories = readdirSync(units, { withFileTypes: true }).filter(({ name }) => name.endsWith('.d'));
  return directories
    .filter(({ name }) =>
      textOf(join(units, name, DROP_IN))
        .split('\n')
        .includes(ownerLine(dataDirectory)),
    )
    .map(({ name }) => name.slice(0, -'.d'.length));
}

const ownerLine = (dataDirectory: string) => `# Server: ${dataDirectory}`;

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
