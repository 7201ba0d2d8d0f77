import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectory, writeFileAtomically } from './write-file-atomically.ts';

const POLL_MS = 500;

/**
 * The file that names the pinned peer, `identity/peer.json`; absent when not paired. Level-triggered: whoever follows it is told
 * the present content at the start and at every change, and may be told the same content twice.
 *
 * `parse` checks the content and throws when it is not what it should be, e.g. `PeerIdentitySchema.parse`.
 */
export class PeerIdentityFile<Peer> {
  constructor(
    readonly file: string,
    private readonly parse: (value: unknown) => Peer,
  ) {}

  /** The pinned peer, null when not paired. Throws when the file cannot be read or is damaged: that is not "not paired". */
  async read(): Promise<Peer | null> {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    return this.parse(JSON.parse(text));
  }

  /** Pins a peer, durably. */
  async write(peer: Peer): Promise<void> {
    await writeFileAtomically(this.file, `${JSON.stringify(this.parse(peer), null, 2)}\n`, { mode: 0o600 });
  }

  /** Forgets the peer, durably. Nothing to forget is success. */
  async remove(): Promise<void> {
    await unlink(this.file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await syncDirectory(dirname(this.file));
  }

  /**
   * Follows the file until the returned function is called: `onChange` gets the content now and after each change, one call at a
   * time. A change of this server's own certificate beside it counts too: whoever speaks with the peer shows that one. A file that cannot be read goes to `onError`, once per state of the file, and the last content stays in force; what
   * `onChange` throws goes to `onError` too, and the same content is delivered again at the next look.
   */
  follow(onChange: (peer: Peer | null) => void | Promise<void>, onError: (error: unknown) => void): () => void {
    let delivered: string | null = null;
    let failed: string | null = null;
    let stopped = false;
    let looking = false;
    const look = async () => {
      if (looking || stopped) return;
      looking = true;
      try {
        const signature = await this.signature();
        if (signature === delivered || stopped) return;
        try {
          await onChange(await this.read());
          delivered = signature;
          failed = null;
        } catch (error) {
          if (failed !== signature) onError(error);
          failed = signature;
        }
      } finally {
        looking = false;
      }
    };
    const timer = setInterval(() => void look(), POLL_MS);
    const watcher = this.watchDirectory(() => void look());
    void look();
    return () => {
      stopped = true;
      clearInterval(timer);
      watcher?.close();
    };
  }

  private async signature(): Promise<string> {
    return (await Promise.all([this.file, this.ownCertificate].map(signatureOf))).join(' ');
  }

  private get ownCertificate(): string {
    return join(dirname(this.file), 'certificate.pem');
  }

  /** Notification makes it quick; the poll beside it makes it certain. */
  private watchDirectory(onEvent: () => void): FSWatcher | null {
    try {
      const watcher = watch(dirname(this.file), { persistent: false }, (_, name) => {
        if (name === null || [this.file, this.ownCertificate].some((file) => basename(file) === name)) onEvent();
      });
      watcher.on('error', () => undefined);
      return watcher;
    } catch {
      return null;
    }
  }
}

async function signatureOf(file: string): Promise<string> {
  try {
    const { mtimeNs, ino, size } = await stat(file, { bigint: true });
    return `${mtimeNs}-${ino}-${size}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : `unreadable ${String(error)}`;
  }
}
