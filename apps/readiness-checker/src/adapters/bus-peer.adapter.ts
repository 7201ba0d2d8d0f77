import { MeasurePeer, type PeerIdentity } from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import type { PeerIdentityFile } from '@understudy/platform';
import type { PeerMeasuring } from '../ports/peer.port.ts';

/** The pinned peer's readiness-checker, over the pair link. */
export class BusPeer implements PeerMeasuring {
  constructor(
    private readonly bus: Bus,
    private readonly file: PeerIdentityFile<PeerIdentity>,
  ) {}

  async measure(limitMs: number) {
    const peer = await this.file.read();
    if (peer === null) throw new Error('HA is not configured: there is no other server yet');
    return this.bus
      .request(MeasurePeer, { pairId: peer.pairId }, { timeoutMs: limitMs, role: peer.role })
      .catch((error: Error) => {
        throw new Error(`${peer.name} does not answer: ${error.message}`);
      });
  }
}
