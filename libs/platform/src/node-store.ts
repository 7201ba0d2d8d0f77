import type { Redis } from 'ioredis';
import type { StoreCredentials } from './credentials.ts';
import type { Logger } from './logger.ts';

/** Longest wait for one answer of the store. */
const COMMAND_TIMEOUT_MS = 2000;

/**
 * This server's Redis, the store its services share. Commands fail at once while it is away (nothing is queued) and within 2 s when
 * it does not answer; it reconnects for ever.
 */
export class NodeStore {
  /** The client itself, for commands. Every one of them may reject at any time. */
  readonly client: Redis;
  #complained = false;

  private constructor(client: Redis, logger: Logger) {
    this.client = client;
    this.client.on('ready', () => {
      if (this.#complained) logger.info('The node store is reachable again');
      this.#complained = false;
    });
    this.client.on('error', (error: Error) => {
      if (!this.#complained) logger.warn('The node store is not reachable', { error: error.message });
      this.#complained = true;
    });
  }

  /** Makes the client and lets it connect in the background; see `whenReady`. The driver is loaded only here: not every service needs it. */
  static async open({ host, port, password }: StoreCredentials, logger: Logger): Promise<NodeStore> {
    const { Redis } = await import('ioredis');
    const client = new Redis({
      host,
      port,
      password: password.reveal(),
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      commandTimeout: COMMAND_TIMEOUT_MS,
      connectTimeout: COMMAND_TIMEOUT_MS,
      keepAlive: 5000,
      retryStrategy: (attempt: number) => Math.min(100 * attempt, 1000),
      reconnectOnError: (error: Error) => /LOADING|READONLY|MISCONF/.test(error.message),
    });
    return new NodeStore(client, logger);
  }

  /** Whether commands can be sent now. */
  get ready(): boolean {
    return this.client.status === 'ready';
  }

  /** Waits until commands can be sent; false when that takes longer than `timeoutMs`. */
  whenReady(timeoutMs: number): Promise<boolean> {
    if (this.ready) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (ready: boolean) => {
        clearTimeout(timer);
        this.client.off('ready', onReady);
        resolve(ready);
      };
      const onReady = () => finish(true);
      const timer = setTimeout(() => finish(false), timeoutMs);
      this.client.once('ready', onReady);
    });
  }

  /** Ends the connection; what is under way fails. */
  close(): void {
    this.client.disconnect(false);
  }
}
