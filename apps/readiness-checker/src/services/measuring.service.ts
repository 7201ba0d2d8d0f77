import type { Measurements } from '@understudy/contracts';
import { z } from 'zod';
import type { Probe } from '../ports/probe.port.ts';

/** Called before each step: what is measured, and how much is done, 0 to 1. */
export type OnStep = (title: string, done: number) => void;

/**
 * Measures this server: what is quick all at once, what loads the machine one by one afterwards. Each probe has its own limit, so a
 * part that hangs costs that part only. Never rejects. Asked while it measures, it hands out the measurement under way.
 */
export class MeasuringService {
  private underWay: Promise<Measurements> | null = null;

  constructor(private readonly probes: readonly Probe[]) {}

  measure(onStep: OnStep = () => undefined): Promise<Measurements> {
    this.underWay ??= this.measureAll(onStep).finally(() => {
      this.underWay = null;
    });
    return this.underWay;
  }

  private async measureAll(onStep: OnStep): Promise<Measurements> {
    const alone = this.probes.filter(({ isAlone }) => isAlone);
    const together = this.probes.filter(({ isAlone }) => !isAlone);
    onStep('reading what the machine says', 0);
    const found = await Promise.all(together.map(outcomeOf));
    for (const [index, probe] of alone.entries()) {
      onStep(`measuring ${probe.title}`, (index + 1) / (alone.length + 1));
      found.push(await outcomeOf(probe));
    }
    return Object.assign({}, ...found) as Measurements;
  }
}

async function outcomeOf({ fields, limitMs, title, measure }: Probe): Promise<Measurements> {
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
      ...(await Promise.race([measure(controller.signal), late.promise])),
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
