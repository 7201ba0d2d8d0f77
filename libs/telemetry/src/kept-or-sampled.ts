import type { Attributes, Context, SpanKind } from '@opentelemetry/api';
import {
  type Sampler,
  SamplingDecision,
  type SamplingResult,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';
import { KEPT } from './spans.ts';

/** Which traces are kept, decided at their root: all that are marked as kept, and a share of the others. */
export class KeptOrSampled implements Sampler {
  private readonly share: Sampler;

  /** `ratio`: how many of the others are kept, 0 to 1. */
  constructor(ratio: number) {
    this.share = new TraceIdRatioBasedSampler(ratio);
  }

  shouldSample(
    parent: Context,
    traceId: string,
    name: string,
    kind: SpanKind,
    attributes: Attributes,
    links: Parameters<Sampler['shouldSample']>[5],
  ): SamplingResult {
    if (attributes[KEPT] === true) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    return this.share.shouldSample(parent, traceId, name, kind, attributes, links);
  }

  toString(): string {
    return `KeptOrSampled{${this.share}}`;
  }
}
