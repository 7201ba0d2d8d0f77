import { readFile, stat } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { type PeerIdentity, PeerIdentitySchema } from '@understudy/contracts';
import {
  type NodePaths,
  PeerIdentityFile,
  readCertificatePolicy,
  readOwnIdentity,
  readRenewal,
} from '@understudy/platform';
import { z } from 'zod';
import { LocalFiles } from '../ports/local-files.port.ts';

const KeySchema = z.object({ salt: z.string() });

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

  async authenticationKeyId(): Promise<string | null> {
    try {
      return KeySchema.parse(JSON.parse(await readFile(this.paths.authenticationKey, 'utf8'))).salt;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  async ownCertificate(): Promise<string | null> {
    return (await readOwnIdentity(this.paths))?.certificatePem ?? null;
  }

  async renewal(): Promise<'offered' | 'in-use' | null> {
    const renewal = await readRenewal(this.paths);
    return renewal && (renewal.isInUse ? 'in-use' : 'offered');
  }

  certificatePolicy() {
    return readCertificatePolicy(this.paths);
  }

  peer(): Promise<PeerIdentity | null> {
    return this.peerFile.read();
  }
}
