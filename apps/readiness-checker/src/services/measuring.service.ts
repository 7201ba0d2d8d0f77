import type { Measurements } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';
import { z } from 'zod';
import type { Counterpart } from '../ports/counterpart.port.ts';
import type { Probe } from '../ports/probe.port.ts';

/** Called before each step: what is measured, and how much is done, 0 to 1. */
export type OnStep = (title: string, done: number) => void;

/** What a firewall between the servers changes, and what stands in for the database while it is looked at. */
const WAY: readonly (keyof Measurements)[] = ['peerPorts', 'listener', 'latency', 'throughput'];

/**
 * Measures this server: what is quick all at once, what loads the machine one by one afterwards. Each probe has its own limit, so a
 * part that hangs costs that part only. Asked while it measures, it hands out the measurement under way; rejects only, with
 * `operation-running`, when that goes to another server.
 */
export class MeasuringService {
  private underWay: { readonly key: string; readonly found: Promise<Measurements> } | null = null;

  constructor(private readonly probes: readonly Probe[]) {}

  /** `only: 'way'`: what depends on the way between the servers. */
  async measure(
    counterpart: Counterpart,
    { only, onStep = () => undefined }: { only?: 'way' | undefined; onStep?: OnStep | undefined } = {},
  ): Promise<Measurements> {
    const key = `${only ?? 'all'} ${keyOf(counterpart)}`;
    if (this.underWay !== null && this.underWay.key !== key)
      throw new BusError('operation-running', 'this server is being measured for another run: try again in 30 s');
    const probes =
      only === 'way' ? this.probes.filter(({ fields }) => WAY.some((field) => fields.includes(field))) : this.probes;
    this.underWay ??= { key, found: measureAll(probes, counterpart, onStep).finally(() => (this.underWay = null)) };
    return this.underWay.found;
  }
}

async function measureAll(probes: readonly Probe[], counterpart: Counterpart, onStep: OnStep): Promise<Measurements> {
  const alone = probes.filter(({ isAlone }) => isAlone);
  const together = probes.filter(({ isAlone }) => !isAlone);
  onStep('reading what the machine says', 0);
  const found = await Promise.all(together.map((probe) => outcomeOf(probe, counterpart)));
  for (const [index, probe] of alone.entries()) {
    onStep(`measuring ${probe.title}`, (index + 1) / (alone.length + 1));
    found.push(await outcomeOf(probe, counterpart));
  }
  return Object.assign({}, ...found) as Measurements;
}

/** The same server as a pair's and before registration is measured in two ways. */
function keyOf(counterpart: Counterpart): string {
  if ('missing' in counterpart) return counterpart.missing;
  return `${counterpart.ticket === null ? 'peer' : 'candidate'} ${counterpart.server.fingerprint}`;
}

async function outcomeOf({ fields, limitMs, title, measure }: Probe, counterpart: Counterpart): Promise<Measurements> {
  const controller = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error(`${title}: no answer within ${limitMs / 1000} s`));
    controller.abort();
  }, limitMs);
  const without = (reason: string): Measurements =>
    Object.fromEntries(fields.map((field) => [field, { notMeasured: reason }]));
  try {
    return {
      ...without(`${title}: nothing was found`),
      ...(await Promise.race([measure(controller.signal, counterpart), late.promise])),
    };
  } catch (error) {
    return without(reasonOf(error, title));
  } finally {
    clearTimeout(timer);
  }
}

/** What has an unexpected form is told by where it is, not as the text of the schema. */
function reasonOf(error: unknown, title: string): string {
  if (!(error instanceof z.ZodError)) return error instanceof Error ? error.message : String(error);
  const places = error.issues.map(({ path }) => path.join('.')).join(', ');
  return `${title}: the answer is not understood (${places}); please report this`;
}
