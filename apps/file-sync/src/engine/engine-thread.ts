import { Worker } from 'node:worker_threads';
import type { FileDifferences, FileSetStates, PeerIdentity } from '@understudy/contracts';
import type { Logger } from '@understudy/platform';
import type { Direction } from '../domain/direction.ts';
import type { EngineSettings } from './engine.ts';
import type { OwnSide } from './peer-server.ts';
import type { Incident } from './set-report.ts';
import type { FromThread, ThreadStart, ToThread } from './thread-messages.ts';

/**
 * Memory that JavaScript of the engine may use, in MiB: much more than it needs for the most entries that a set may have. Left to itself it
 * takes all the more room for garbage the more the machine has.
 */
export const ENGINE_MEMORY = { maxOldGenerationSizeMb: 2048, maxYoungGenerationSizeMb: 24 } as const;

const START_AGAIN_MS = 1000;
const CLOSE_LIMIT_MS = 5000;
const ANSWER_LIMIT_MS = 5000;

/** Who hears of what the engine does. */
export interface ThreadListeners {
  incident(incident: Incident): void;
  changed(fileSet: string): void;
  status(status: FileSetStates): void;
}

/** The engine's thread as the service sees it. One that ends by a fault is started again, and told again what it has to know. */
export class EngineThread {
  private worker: Worker;
  private peer: PeerIdentity | null = null;
  private own: OwnSide;
  private direction: Direction | null = null;
  private isClosed = false;
  private lastId = 0;
  private readonly answers = new Map<number, (answer: unknown) => void>();
  private onClosed: () => void = () => undefined;

  constructor(
    private readonly settings: EngineSettings,
    private readonly listeners: ThreadListeners,
    private readonly logger: Logger,
  ) {
    this.own = settings.own;
    this.worker = this.start();
  }

  setDirection(direction: Direction): void {
    this.direction = direction;
    this.tell({ type: 'direction', direction });
  }

  /** `own`: with which certificate this server speaks with it. */
  setPeer(peer: PeerIdentity | null, own: OwnSide): void {
    this.peer = peer;
    this.own = own;
    this.tell({ type: 'peer', peer, own });
  }

  peerChanged(fileSet: string): void {
    this.tell({ type: 'peer-changed', fileSet });
  }

  /** See `FileSyncEngine.confirmDeletion`. Rejects when the thread does not answer. */
  confirmDeletion(fileSet: string): Promise<number | null | undefined> {
    return this.ask((id) => ({ type: 'confirm-deletion', id, fileSet }), ANSWER_LIMIT_MS);
  }

  /** See `FileSyncEngine.differences`. Rejects when the thread does not answer. */
  differences(fileSet: string): Promise<FileDifferences | undefined> {
    return this.ask((id) => ({ type: 'differences', id, fileSet }), ANSWER_LIMIT_MS);
  }

  /** See `FileSyncEngine.handOver`. Rejects when the thread does not answer. */
  handOver(epoch: number, limitMs: number, without: readonly string[]): Promise<string[]> {
    return this.ask((id) => ({ type: 'hand-over', id, epoch, limitMs, without }), limitMs + ANSWER_LIMIT_MS);
  }

  private ask<T>(message: (id: number) => ToThread, limitMs: number): Promise<T> {
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.answers.delete(id);
        reject(new Error(`the file sets were not looked at within ${limitMs / 1000} s`));
      }, limitMs);
      this.answers.set(id, (answer) => {
        clearTimeout(timer);
        this.answers.delete(id);
        resolve(answer as T);
      });
      this.tell(message(id));
    });
  }

  /** Ends the thread, in an orderly way within 5 s. */
  async close(): Promise<void> {
    this.isClosed = true;
    const closed = new Promise<void>((resolve) => {
      this.onClosed = resolve;
      setTimeout(resolve, CLOSE_LIMIT_MS).unref();
    });
    this.tell({ type: 'close' });
    await closed;
    await this.worker.terminate();
  }

  private start(): Worker {
    const workerData: ThreadStart = { settings: this.settings };
    // the compiled file, which lies beside this one
    const worker = new Worker(new URL('./thread.js', import.meta.url), { workerData, resourceLimits: ENGINE_MEMORY });
    worker.on('message', (message: FromThread) => this.take(message));
    worker.on('error', (error) =>
      this.logger.error('The thread of file synchronisation has ended by a fault', { error }),
    );
    worker.on('exit', () => {
      this.onClosed();
      if (this.isClosed) return;
      setTimeout(() => {
        if (this.isClosed) return;
        this.worker = this.start();
        this.setPeer(this.peer, this.own);
        if (this.direction !== null) this.setDirection(this.direction);
      }, START_AGAIN_MS).unref();
    });
    return worker;
  }

  private take(message: FromThread): void {
    if (message.type === 'incident') this.listeners.incident(message.incident);
    if (message.type === 'changed') this.listeners.changed(message.fileSet);
    if (message.type === 'status') this.listeners.status(message.status);
    if (message.type === 'answer') this.answers.get(message.id)?.(message.answer);
    if (message.type === 'closed') this.onClosed();
  }

  private tell(message: ToThread): void {
    this.worker.postMessage(message);
  }
}
