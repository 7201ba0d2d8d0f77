import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './deadline.ts';
import type { Host } from './host.ts';
import { nodeBinary, siblingScript } from './node-scripts.ts';

/** The `telemetry` section of both servers' configuration: on the client's host, as a third place. */
export const TELEMETRY_SECTION = { otlpEndpoint: 'http://10.77.0.13:4318' } as const;

/** A span as it was received. Times in Unix milliseconds. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly name: string;
  readonly service: string;
  /** The server's name. */
  readonly server: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly hasFailed: boolean;
  /** Ids of the spans that it is linked to. */
  readonly links: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A receiver of traces on a host of the stage. */
export class SpanReceiver {
  constructor(private readonly host: Host) {}

  /** Starts it where it does not run yet, and resolves when it listens. */
  async start(): Promise<void> {
    if (this.pids().length > 0) return;
    rmSync(this.file, { force: true });
    const script = siblingScript(import.meta.url, 'span-receiver-process');
    this.host.start([nodeBinary(), script, this.host.address, this.file], { log: 'span-receiver.log' });
    await until('the receiver of traces listens', { withinMs: 20_000 }, async () => {
      const { code } = await this.host.run(['sh', '-c', 'ss -Hltn sport = :4318 | grep -q .']);
      return code === 0;
    });
  }

  /** It lives on: connections to it are made, and it answers nothing. */
  freeze(): void {
    for (const pid of this.pids()) this.host.freeze(pid);
  }

  /** Ends a freeze. */
  thaw(): void {
    for (const pid of this.pids()) this.host.thaw(pid);
  }

  /** All that was received so far; what was sent twice is there once. */
  spans(): ReceivedSpan[] {
    if (!existsSync(this.file)) return [];
    const lines = readFileSync(this.file, 'utf8').split('\n').slice(0, -1);
    const spans = lines.map((line) => JSON.parse(line) as ReceivedSpan);
    return [...new Map(spans.map((span) => [span.spanId, span])).values()];
  }

  private get file(): string {
    return join(this.host.directory, 'spans.jsonl');
  }

  private pids(): number[] {
    return this.host
      .processes()
      .flatMap(({ pid, commandLine }) => (commandLine.includes('span-receiver-process') ? [pid] : []));
  }
}
