import type { PeerIdentity } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';
import type { PeerIdentityFile } from '@understudy/platform';

/** Lets in who belongs to the pair of this server. */
export class PairGuard {
  constructor(private readonly file: Pick<PeerIdentityFile<PeerIdentity>, 'read'>) {}

  /** The peer. Throws `wrong-pair`. */
  async require(pairId: string): Promise<PeerIdentity> {
    const peer = await this.file.read();
    if (peer?.pairId !== pairId) throw new BusError('wrong-pair', 'this server is not of that pair');
    return peer;
  }
}
