import {
  type MeasurementOrder,
  MeasurementsSchema,
  MeasurePeer,
  MeetCandidate,
  type PeerIdentity,
} from '@understudy/contracts';
import { type Bus, BusError } from '@understudy/messaging';
import type { PeerIdentityFile } from '@understudy/platform';
import type { CandidateOrder, Counterpart, Counterparts, KnownCounterpart } from '../ports/counterpart.port.ts';
import { askCandidate } from './candidate-channel.ts';

/** Two steps over HTTPS, 2.5 s each, and the stretching of the key. */
const MEETING_MS = 7000;
const SILENT = ['unreachable', 'timeout', 'not-ready'];

/** The pinned peer's readiness-checker over the pair link; that of a secondary which is not registered yet through its gateway. */
export class PairCounterparts implements Counterparts {
  constructor(
    private readonly bus: Bus,
    private readonly file: PeerIdentityFile<PeerIdentity>,
  ) {}

  async pinned(): Promise<Counterpart> {
    const server = await this.file.read();
    return server === null
      ? { missing: 'HA is not configured: there is no other server yet', isSilent: false }
      : { server, ticket: null };
  }

  async meet(order: CandidateOrder): Promise<Counterpart> {
    try {
      const { candidate, ticket } = await this.bus.request(MeetCandidate, order, { timeoutMs: MEETING_MS });
      return { server: candidate, ticket };
    } catch (error) {
      if (error instanceof BusError && SILENT.includes(error.code)) return { missing: error.message, isSilent: true };
      throw error;
    }
  }

  async measure({ server, ticket }: KnownCounterpart, order: MeasurementOrder, limitMs: number) {
    try {
      if (ticket !== null) {
        const { text } = await askCandidate({ server, ticket }, 'measure', limitMs, order);
        return MeasurementsSchema.parse(JSON.parse(text));
      }
      const peer = await this.file.read();
      if (peer === null) throw new Error('the pair was removed meanwhile');
      return await this.bus.request(
        MeasurePeer,
        { ...order, pairId: peer.pairId },
        { timeoutMs: limitMs, role: peer.role },
      );
    } catch (error) {
      throw new Error(`${server.name} does not answer: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
