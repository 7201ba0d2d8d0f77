import { BusError } from '@understudy/messaging';

/** Lets in who belongs to the pair of this server. */
export class PairGuard {
  constructor(private readonly ownPairId: () => Promise<string | null>) {}

  /** Throws `wrong-pair`. */
  async require(pairId: string): Promise<void> {
    if ((await this.ownPairId()) !== pairId) throw new BusError('wrong-pair', 'this server is not of that pair');
  }
}
