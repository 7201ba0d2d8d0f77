import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { PeerIdentity } from '@understudy/contracts';
import { ensureOwnIdentity, NodePaths, type OwnIdentity } from '@understudy/platform';
import { ENGINE_MEMORY } from '../engine/engine-thread.ts';
import type { FromSide, SideAnswer, ToSide } from './side-messages.ts';

export const ADDRESS = '127.0.0.1';

type Asked = ToSide extends infer Message ? (Message extends ToSide ? Omit<Message, 'id'> : never) : never;

/** One server of the benchmark's pair: its directory of files, its certificate, and its process. */
export class MeasuredSide {
  private readonly answers = new Map<number, (answer: SideAnswer) => void>();
  private lastId = 0;
  /** What its events said. */
  readonly incidents: string[] = [];
  /** A change here that the peer should know of. */
  onChanged: () => void = () => undefined;

  private constructor(
    private readonly child: ChildProcess,
    readonly files: string,
    readonly port: number,
    private readonly name: string,
    private readonly identity: OwnIdentity,
  ) {
    child.on('message', (message: FromSide) => {
      if (message.type === 'changed') this.onChanged();
      else if (message.type === 'incident') this.incidents.push(message.text);
      else this.answers.get(message.id)?.(message);
    });
    child.once('exit', (code, signal) => {
      if (code !== 0) process.stderr.write(`${name} has ended: ${signal ?? code}\n`);
      if (code !== 0) process.exit(1);
    });
  }

  /** Starts it below `directory`, with a new identity and nothing known. */
  static async open(directory: string, name: string, port: number, files: string): Promise<MeasuredSide> {
    const paths = new NodePaths(join(directory, name));
    for (const each of [paths.identity, files]) mkdirSync(each, { recursive: true });
    const identity = await ensureOwnIdentity(paths, { name, address: ADDRESS });
    // the compiled file, which lies beside this one
    const { maxOldGenerationSizeMb, maxYoungGenerationSizeMb } = ENGINE_MEMORY;
    const child = fork(new URL('./side-process.js', import.meta.url), {
      serialization: 'advanced',
      // as the engine's thread has it; the young generation is three times a half of its space
      execArgv: [
        `--max-old-space-size=${maxOldGenerationSizeMb}`,
        `--max-semi-space-size=${maxYoungGenerationSizeMb / 3}`,
      ],
    });
    const side = new MeasuredSide(child, files, port, name, identity);
    await side.ask({
      type: 'open',
      settings: {
        fileSets: [{ name: 'set', path: files, class: 'realtime', include: ['**'], exclude: [] }],
        own: { address: ADDRESS, port, ...identity },
        stateDirectory: paths.fileSync,
        setAside: join(paths.setAside, 'files'),
      },
    });
    return side;
  }

  /** With which it listens. */
  get credentials(): { readonly cert: string; readonly key: string } {
    return { cert: this.identity.certificatePem, key: this.identity.privateKeyPem };
  }

  /** What the peer pins. @param port another one, where what is sent is counted on the way */
  identityAt(port = this.port): PeerIdentity {
    const { certificatePem, fingerprint } = this.identity;
    return {
      name: this.name,
      role: this.name === 'alpha' ? 'primary' : 'secondary',
      address: ADDRESS,
      certificatePem,
      fingerprint,
      ports: { healthMonitor: 1, fileSync: port, pairLink: 1, database: 1 },
      pairId: 'pair',
    };
  }

  ask(message: Asked): Promise<SideAnswer> {
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve) => {
      this.answers.set(id, (answer) => {
        this.answers.delete(id);
        resolve(answer);
      });
      this.child.send({ ...message, id });
    });
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    await this.ask({ type: 'close' });
    await ended;
  }
}
