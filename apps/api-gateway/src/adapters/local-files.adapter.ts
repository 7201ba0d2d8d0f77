import { readFile, stat } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { type PeerIdentity, PeerIdentitySchema } from '@understudy/contracts';
import { type NodePaths, PeerIdentityFile } from '@understudy/platform';
import { LocalFiles } from '../ports/local-files.port.ts';

/** Reads the files where the runner and the health-monitor leave them. */
@Injectable()
export class LocalFilesAdapter extends LocalFiles {
  private cached: { stamp: string; token: string | null } = { stamp: '', token: null };
  private readonly peerFile: PeerIdentityFile<PeerIdentity>;

  constructor(private readonly paths: NodePaths) {
    super();
    this.peerFile = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
  }

  async cliToken(): Promise<string | null> {
    try {
      const { mtimeMs, ino, size } = await stat(this.paths.cliToken);
      const stamp = `${mtimeMs}-${ino}-${size}`;
      if (stamp !== this.cached.stamp) {
        const token = (await readFile(this.paths.cliToken, 'utf8')).trim();
        // A file still being written, or emptied, lets nobody in.
        this.cached = { stamp, token: token.length >= 16 ? token : null };
      }
      return this.cached.token;
    } catch {
      return null;
    }
  }

  peer(): Promise<PeerIdentity | null> {
    return this.peerFile.read();
  }
}
