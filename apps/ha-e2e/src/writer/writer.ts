import { monotonicMs, until } from '../real-pair/deadline.ts';
import type { Host } from '../real-pair/host.ts';
import { siblingScript } from '../real-pair/node-scripts.ts';
import { type ClientProcess, endClient, startClient } from './client-process.ts';
import { WriteLog } from './write-log.ts';

/** Makes the table that writers write to. For the active server, once. */
export const CREATE_WRITER_TABLE = `create table if not exists understudy_e2e(run text, sequence bigint,
  at timestamptz default clock_timestamp(), primary key(run, sequence))`;

/** A client that writes one row after another from a host until it is stopped. */
export class Writer {
  readonly run: string;
  readonly log = new WriteLog();
  private readonly child: ClientProcess;

  private constructor(host: Host, words: Parameters<typeof startClient>[2]) {
    this.run = words.run;
    const script = siblingScript(import.meta.url, 'writer-process');
    this.child = startClient(host, script, words, (line) => this.log.add(line));
  }

  /**
   * Starts a writer on `host`.
   *
   * @param run names its rows; unique in the life of the database
   * @param targets `address:port` in the order in which they are tried, each for `connectTimeoutMs`; 500 unless told
   */
  static start(
    host: Host,
    run: string,
    targets: readonly string[],
    { pauseMs = 50, connectTimeoutMs = 500 }: { readonly pauseMs?: number; readonly connectTimeoutMs?: number } = {},
  ): Writer {
    return new Writer(host, { run, targets, pauseMs, connectTimeoutMs });
  }

  /** Waits until writes are acknowledged without a hole for `forMs`. */
  async isWriting(options: { readonly withinMs: number; readonly forMs?: number }): Promise<void> {
    const forMs = options.forMs ?? 500;
    await until(`writer ${this.run} writes steadily for ${forMs} ms`, options, () =>
      this.log.isSteady(monotonicMs(), forMs, 1300),
    );
  }

  /** Ends the writer and returns its complete log. */
  async stop(): Promise<WriteLog> {
    await endClient(this.child);
    return this.log;
  }
}
