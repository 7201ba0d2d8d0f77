import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, ParentBasedSampler, TracerProvider } from '@opentelemetry/sdk-trace';
import type { ServiceEnvironment } from '@understudy/platform';
import { KeptOrSampled } from './kept-or-sampled.ts';
import { PatientExporter } from './patient-exporter.ts';
import type { Telemetry } from './start-telemetry.ts';

/** So many spans wait to be sent, and so many to be sent once more: about 1 MB each. More are lost. */
export const WAITING_SPANS_MAX = 2048;
/** A server may die a moment after its last decision: what it did is sent soon. */
const SEND_EVERY_MS = 500;
const ANSWER_LIMIT_MS = 5000;
const RETRY_MS = 2000;
const CLOSE_LIMIT_MS = 1000;

/** Collects the spans of this process and sends them in batches, as OTLP over HTTP. */
export function sendSpans(environment: ServiceEnvironment, otlpEndpoint: string): Telemetry {
  const { configuration, service, version, logger } = environment;
  const { serviceNamespace, sampleRatio } = configuration.telemetry;
  const exporter = new OTLPTraceExporter({
    url: `${otlpEndpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: ANSWER_LIMIT_MS,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.version': version,
      'service.instance.id': configuration.node.name,
      'understudy.home_role': configuration.node.role,
      ...(serviceNamespace === undefined ? {} : { 'service.namespace': serviceNamespace }),
    }),
    sampler: new ParentBasedSampler({ root: new KeptOrSampled(sampleRatio) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new PatientExporter(exporter, logger, { spansMax: WAITING_SPANS_MAX, retryMs: RETRY_MS }),
        maxQueueSize: WAITING_SPANS_MAX,
        scheduledDelayMillis: SEND_EVERY_MS,
        exportTimeoutMillis: ANSWER_LIMIT_MS,
      }),
    ],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  return {
    close: async () => {
      const limit = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_LIMIT_MS).unref());
      await Promise.race([provider.shutdown().catch(() => undefined), limit]);
    },
  };
}
