import type { MeasurementOrder, Measurements } from '@understudy/contracts';
import type { Clock } from '@understudy/platform';
import type { Counterpart } from '../ports/counterpart.port.ts';
import type { Firewall } from '../ports/firewall.port.ts';
import type { MeasuringService, OnStep } from './measuring.service.ts';

/** This server's part in a run, whoever asks for it: the run of its own operator, or that of the other server's. */
export class OwnSideService {
  constructor(
    private readonly measuring: MeasuringService,
    private readonly firewall: Firewall,
    private readonly clock: Clock,
  ) {}

  /** Throws `operation-running`. Ports are opened for a known server only, and only these where the order says so. */
  async follow(
    { openPorts, only }: MeasurementOrder,
    counterpart: Counterpart,
    onStep?: OnStep,
  ): Promise<Measurements> {
    if (openPorts === undefined) {
      const unixMs = { value: this.clock.unixMs() };
      const found = await this.measuring.measure(counterpart, { only, onStep });
      return { ...found, unixMs, endUnixMs: { value: this.clock.unixMs() } };
    }
    if ('missing' in counterpart) return {};
    return { firewall: { value: await this.firewall.open(counterpart.server.address, openPorts) } };
  }
}
