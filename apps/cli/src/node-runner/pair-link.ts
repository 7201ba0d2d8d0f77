import { join } from 'node:path';
import { type PeerIdentity, PeerIdentitySchema, trustedPem } from '@understudy/contracts';
import { type Logger, PeerIdentityFile, readOwnIdentity, writeFileAtomically } from '@understudy/platform';
import type { PreparedNode } from './preparation.ts';
import { restoreFile } from './restore-file.ts';
import { natsConfiguration } from './server-configurations.ts';
import type { SupervisedChild } from './supervised-child.ts';

/** Between a change of the pinned peer and the restart of the bus for it. */
const LINK_SETTLE_MS = 300;

/**
 * The bus's configuration file, which holds the pair link, and the certificates that it reads: they follow the pinned peer in
 * `identity/peer.json` and this server's own certificate beside it. NATS cannot change a leaf node link while it runs, so that asks for
 * a new NATS process; other certificates are read by the present one, whose link holds, and show at the next connection.
 */
export class PairLink {
  private readonly peerFile: PeerIdentityFile<PeerIdentity>;
  /** What is in force: the certificates, and at the end the configuration. */
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
        const changed = await this.write(peer);
        if (changed === 'nothing') return;
        if (changed === 'certificates') return nats.reload();
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

  /** Writes what differs from what is in force. A peer whose certificate is forgotten has no link. */
  private async write(pinned: PeerIdentity | null): Promise<'nothing' | 'certificates' | 'configuration'> {
    const { configuration, paths, localAddress, bus, store } = this.node;
    const { address, name, role } = configuration.node;
    const peer = pinned?.isForgotten ? null : pinned;
    const ownFile = join(paths.nats, 'own.pem');
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
        certificateFile: ownFile,
        keyFile: ownFile,
        peerCertificateFile,
        pairId: peer.pairId,
        dial: role === 'secondary' ? { address: peer.address, port: peer.ports.pairLink } : null,
      },
    });
    const own = peer === null ? null : await readOwnIdentity(paths);
    // key and certificate in one file: whenever NATS reads it, they belong together
    const certificates = [
      ...(own === null ? [] : [[ownFile, own.certificatePem + own.privateKeyPem] as const]),
      ...(peer === null ? [] : [[peerCertificateFile, trustedPem(peer)] as const]),
    ];
    const files = [...certificates, [this.file, text] as const];
    if (JSON.stringify(files) === JSON.stringify(this.files)) return 'nothing';
    const before = this.files.at(-1)?.[1];
    for (const [file, content] of files) await writeFileAtomically(file, content, { mode: 0o600 });
    this.files = files;
    return before === text ? 'certificates' : 'configuration';
  }
}
