/**
 * A receiver of traces: takes OTLP over HTTP in its JSON form and writes each span as a JSON line to the file named second. Listens on
 * the address named first, port 4318.
 */
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

interface OtlpValue {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
  readonly arrayValue?: { readonly values: readonly OtlpValue[] };
}

type OtlpAttributes = readonly { readonly key: string; readonly value: OtlpValue }[];

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: OtlpAttributes;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number };
}

interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: OtlpAttributes };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

const [, , address = '127.0.0.1', file = 'spans.jsonl'] = process.argv;

createServer(async (request, response) => {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.url !== '/v1/traces') throw new Error(`${request.url} is not where traces are sent`);
    const lines = spansOf(JSON.parse(Buffer.concat(chunks).toString()) as OtlpTraces).map((span) =>
      JSON.stringify(span),
    );
    if (lines.length > 0) appendFileSync(file, `${lines.join('\n')}\n`);
    response.setHeader('content-type', 'application/json').end('{}');
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
    response.writeHead(400).end();
  }
}).listen(4318, address);

function spansOf({ resourceSpans }: OtlpTraces) {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const { 'service.name': service, 'service.instance.id': server } = valuesOf(resource.attributes);
    return scopeSpans.flatMap(({ spans }) =>
      spans.map(({ traceId, spanId, parentSpanId = null, name, attributes, links = [], status, ...times }) => ({
        traceId,
        spanId,
        parentSpanId: parentSpanId || null,
        name,
        service,
        server,
        startMs: Number(BigInt(times.startTimeUnixNano) / 1000n) / 1000,
        endMs: Number(BigInt(times.endTimeUnixNano) / 1000n) / 1000,
        hasFailed: status.code === 2,
        links: links.map((link) => link.spanId),
        attributes: valuesOf(attributes),
      })),
    );
  });
}

function valuesOf(attributes: OtlpAttributes): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, readValue(value)]));
}

function readValue({ stringValue, intValue, doubleValue, boolValue, arrayValue }: OtlpValue): unknown {
  if (arrayValue !== undefined) return arrayValue.values.map(readValue);
  return stringValue ?? doubleValue ?? boolValue ?? (intValue === undefined ? null : Number(intValue));
}
