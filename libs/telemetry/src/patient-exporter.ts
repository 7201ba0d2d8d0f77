import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from '@understudy/platform';
import { detached } from './spans.ts';

/**
 * Keeps what could not be delivered, up to a number of spans, and sends it again while the receiver is away: a switch often takes the way
 * to the receiver with it. The oldest are lost first. Says once that nothing is delivered, and once that it is again.
 */
export class PatientExporter implements SpanExporter {
  private undelivered: readonly ReadableSpan[] = [];
  private lost = 0;
  private isFailing = false;
  private isShut = false;
  private retry: NodeJS.Timeout | null = null;

  constructor(
    private readonly exporter: SpanExporter,
    private readonly logger: Logger,
    private readonly limits: { readonly spansMax: number; readonly retryMs: number },
  ) {}

  export(spans: readonly ReadableSpan[], done: (result: ExportResult) => void): void {
    if (this.retry !== null) clearTimeout(this.retry);
    this.retry = null;
    const all = [...this.undelivered, ...spans];
    this.undelivered = [];
    // whatever comes of it is no part of the trace in which a span has happened to end
    detached(() =>
      this.exporter.export(all, (result) => {
        if (result.code === ExportResultCode.SUCCESS) this.delivered();
        else this.failed(all, result.error);
        done(result);
      }),
    );
  }

  async shutdown(): Promise<void> {
    this.isShut = true;
    if (this.retry !== null) clearTimeout(this.retry);
    await this.exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.exporter.forceFlush?.();
  }

  private delivered(): void {
    if (this.isFailing) this.logger.info('Traces are delivered again', { spansLost: this.lost });
    this.isFailing = false;
    this.lost = 0;
  }

  private failed(spans: readonly ReadableSpan[], error: Error | undefined): void {
    // a later batch may have failed meanwhile
    const all = [...this.undelivered, ...spans];
    this.undelivered = all.slice(-this.limits.spansMax);
    this.lost += all.length - this.undelivered.length;
    if (!this.isFailing) this.logger.warn('Traces are not delivered', { reason: error?.message ?? 'unknown' });
    this.isFailing = true;
    if (!this.isShut) this.retry ??= setTimeout(() => this.export([], () => undefined), this.limits.retryMs).unref();
  }
}
