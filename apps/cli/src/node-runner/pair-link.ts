import { join } from 'node:path';
import { type PeerIdentity, PeerIdentitySchema } from '@understudy/contracts';
import { type Logger, PeerIdentityFile, writeFileAtomically } from '@understudy/platform';
import type { PreparedNode } from './preparation.ts';
import { restoreFile } from './restore-file.ts';
import { natsConfiguration } from './server-configurations.ts';
import type { SupervisedChild } from './supervised-child.ts';

/** Between a change of the pinned peer and the restart of the bus for it. */
const LINK_SETTLE_MS = 300;

/**
 * The bus's configuration file, which holds the pair link: it follows the pinned peer in `identity/peer.json`. NATS cannot change
 * a leaf node link while it runs, so a change asks for a new NATS process.
 */
export class PairLink {
  private readonly peerFile: PeerIdentityFile<PeerIdentity>;
  /** What is in force: the peer's certificate, and the file with its text. */
  private files: readonly (readonly [file: string, content: string])[] = [];
  private unfollow: () => void = () => undefined;

  constructor(
    private readonly node: PreparedNode,
    private readonly logger: Logger,
  ) {
    this.peerFile = new PeerIdentityFile(node.paths.peer, (value) => PeerIdentitySchema.parse(value));
  }

  /** The file that NATS reads. */
  get file(): string {
    return join(this.node.paths.nats, 'nats.conf');
  }

  /** Writes the configuration before NATS is started. A peer that cannot be read means no link for now, not no server. */
  async prepare(): Promise<void> {
    const peer = await this.peerFile.read().catch((error: unknown) => {
      this.logger.error('The pinned peer cannot be read; no pair link', { error });
      return null;
    });
    await this.write(peer);
  }

  /** Follows the peer until `stop`; the bus is replaced after its configuration has changed. */
  followWith(nats: SupervisedChild): void {
    this.unfollow = this.peerFile.follow(
      async (peer) => {
        if (!(await this.write(peer))) return;
        const reason = peer === null ? 'there is no peer any more' : `the peer is now ${peer.name}`;
        // the answer that pinned the peer is still on its way over this very bus; one that is being stopped is not replaced
        setTimeout(() => nats.replace(reason, 'SIGTERM'), LINK_SETTLE_MS);
      },
      (error) => this.logger.error('The pinned peer cannot be read; the pair link stays as it was', { error }),
    );
  }

  stop(): void {
    this.unfollow();
  }

  /** Brings back the files that NATS reads when they have been removed. */
  restore(): void {
    for (const [file, content] of this.files) restoreFile(file, content);
  }

  /** True when it differs from what was in force. */
  private async write(peer: PeerIdentity | null): Promise<boolean> {
    const { configuration, paths, localAddress, bus, store } = this.node;
    const { address, name, role } = configuration.node;
    const peerCertificateFile = join(paths.nats, 'peer.pem');
    const text = natsConfiguration({
      serverName: name,
      listen: localAddress,
      port: configuration.ports.bus,
      ...bus,
      systemPassword: store.password,
      pairLink: peer && {
        listen: address,
        port: configuration.ports.pairLink,
        certificateFile: paths.certificate,
        keyFile: paths.privateKey,
        peerCertificateFile,
        pairId: peer.pairId,
        dial: role === 'secondary' ? { address: peer.address, port: peer.ports.pairLink } : null,
      },
    });
    const certificate = peer === null ? [] : [[peerCertificateFile, peer.certificatePem] as const];
    const files = [...certificate, [this.file, text] as const];
    if (JSON.stringify(files) === JSON.stringify(this.files)) return false;
    for (const [file, content] of files) await writeFileAtomically(file, content, { mode: 0o600 });
    this.files = files;
    return true;
  }
}
