import { METRICS, type Metric, type MetricName } from './metrics.ts';

/** The attributes of a value, by name. */
export type MetricAttributes = Readonly<Record<string, string>>;

/** One value of a metric at this moment; of a histogram how many, their sum, and how many up to each bound. */
export interface Sample {
  readonly metric: MetricName;
  readonly attributes: MetricAttributes;
  readonly value: number | { readonly count: number; readonly sum: number; readonly upTo: readonly number[] };
}

/** Whether it is a sample of a metric of this release. */
export function isSample<S extends { metric: string }>(sample: S): sample is S & { metric: MetricName } {
  return Object.hasOwn(METRICS, sample.metric);
}

interface Histogram {
  count: number;
  sum: number;
  readonly upTo: number[];
}

interface Series<Value> {
  readonly metric: MetricName;
  readonly attributes: MetricAttributes;
  value: Value;
}

/** Counts what happens, from the start of the process. Attributes come from closed lists, so that it stays small. */
export class Meter {
  private readonly counters = new Map<string, Series<number>>();
  private readonly histograms = new Map<string, Series<Histogram>>();

  /** It has happened, `times` times. */
  count(metric: MetricName, attributes: MetricAttributes = {}, times = 1): void {
    const series = find(this.counters, { metric, attributes, value: 0 });
    series.value += times;
  }

  /** It was so large. */
  record(metric: MetricName, value: number, attributes: MetricAttributes = {}): void {
    const { bounds = [] }: Metric = METRICS[metric];
    const none = { count: 0, sum: 0, upTo: bounds.map(() => 0) };
    const { value: histogram } = find(this.histograms, { metric, attributes, value: none });
    histogram.count += 1;
    histogram.sum += value;
    for (const [index, bound] of bounds.entries())
      if (value <= bound) histogram.upTo[index] = (histogram.upTo[index] ?? 0) + 1;
  }

  /** All that was counted. */
  samples(): Sample[] {
    return [...this.counters.values(), ...this.histograms.values()];
  }
}

function find<Value>(known: Map<string, Series<Value>>, fresh: Series<Value>): Series<Value> {
  const key = JSON.stringify([fresh.metric, fresh.attributes]);
  const series = known.get(key) ?? fresh;
  known.set(key, series);
  return series;
}
