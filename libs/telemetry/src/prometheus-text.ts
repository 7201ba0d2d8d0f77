import type { MetricAttributes, Sample } from './meter.ts';
import { METRICS, type Metric, type MetricName, prometheusName } from './metrics.ts';

/** Samples in Prometheus text format 0.0.4, in the order of METRICS; of what has none, nothing. */
export function prometheusText(samples: readonly Sample[]): string {
  const lines = (Object.keys(METRICS) as MetricName[]).flatMap((name) => {
    const own = samples.filter(({ metric }) => metric === name);
    if (own.length === 0) return [];
    const { says, kind } = METRICS[name];
    const shown = prometheusName(name);
    return [`# HELP ${shown} ${says}`, `# TYPE ${shown} ${kind}`, ...own.flatMap((sample) => linesOf(shown, sample))];
  });
  return `${lines.join('\n')}\n`;
}

function linesOf(name: string, { metric, attributes, value }: Sample): string[] {
  if (typeof value === 'number') return [line(name, attributes, value)];
  const { bounds = [] }: Metric = METRICS[metric];
  return [
    ...bounds.map((bound, index) =>
      line(`${name}_bucket`, { ...attributes, le: String(bound) }, value.upTo[index] ?? 0),
    ),
    line(`${name}_bucket`, { ...attributes, le: '+Inf' }, value.count),
    line(`${name}_sum`, attributes, value.sum),
    line(`${name}_count`, attributes, value.count),
  ];
}

function line(name: string, attributes: MetricAttributes, value: number): string {
  const labels = Object.entries(attributes).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${labels.length > 0 ? `{${labels.join(',')}}` : ''} ${value}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
