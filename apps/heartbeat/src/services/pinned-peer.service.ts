import { type PeerIdentity, trustedPem } from '@understudy/contracts';
import type { Logger } from '@understudy/platform';
import type { PeerFilePort } from '../ports/peer-file.port.ts';
import { PeerWatchService } from './peer-watch.service.ts';

/**
 * Has the pinned peer watched. Whom to watch is in `identity/peer.json`, so that a restarted heartbeat needs nobody to tell it;
 * health-monitor's `watch-peer` only makes it look at once.
 */
export class PinnedPeerService {
  private unfollow: () => void = () => undefined;

  constructor(
    private readonly file: PeerFilePort,
    private readonly watch: PeerWatchService,
    private readonly logger: Logger,
  ) {}

  /** Has the present peer watched, and follows the file until `stop`. */
  async start(): Promise<void> {
    await this.file.read().then((peer) => this.watch.watch(peer), this.unreadable);
    this.unfollow = this.file.follow((peer) => this.watch.watch(peer), this.unreadable);
  }

  /** health-monitor says whom to watch, again every 5 s; only what differs is worth a look. The file decides: a message may be old. */
  async told(peer: PeerIdentity | null): Promise<void> {
    if (identityOf(peer) === identityOf(this.watch.watched)) return;
    await this.file.read().then((pinned) => this.watch.watch(pinned), this.unreadable);
  }

  stop(): void {
    this.unfollow();
  }

  private readonly unreadable = (error: unknown): void => {
    this.logger.error('The file of the pinned peer cannot be read', { error });
  };
}

function identityOf(peer: PeerIdentity | null): string {
  return peer === null ? '' : `${peer.pairId} ${peer.role} ${trustedPem(peer)}`;
}
