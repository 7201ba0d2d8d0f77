import { readFileSync } from 'node:fs';
import { type KV, Kvm } from '@nats-io/kv';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import type { Lease, LeaseWord } from '@understudy/ha-core';
import { z } from 'zod';
import type { LeaseStore } from '../ports/lease-store.port.ts';

/** One bucket for all pairs that share the witness; one key for each. */
const BUCKET = 'understudy-leases';
const RECONNECT_MS = 500;
/** JetStream: the revision named is not the last one. */
const WRONG_REVISION = 10071;

const ValueSchema = z.object({
  role: z.enum(['primary', 'secondary']),
  epoch: z.int().nonnegative(),
  stamp: z.string(),
  protection: z.object({ epoch: z.int(), change: z.int(), inForce: z.boolean() }).optional(),
  dissolved: z.literal(true).optional(),
});

/** The lease in a key-value bucket of NATS JetStream: one server or a cluster of three, anywhere else than the pair. */
export class NatsLeaseStore implements LeaseStore {
  private connection: NatsConnection | null = null;
  private connecting: Promise<NatsConnection> | null = null;
  private opening: Promise<KV> | null = null;
  private closed = false;

  /** @param limitMs how long the witness may take to answer */
  constructor(
    private readonly witness: { readonly servers: readonly string[]; readonly credentialsFile?: string | undefined },
    private readonly limitMs: number,
  ) {}

  async read(pairId: string): Promise<Lease | null> {
    const entry = await this.ask((bucket) => bucket.get(pairId));
    if (entry === null || entry.operation !== 'PUT') return null;
    const { protection, dissolved, ...lease } = ValueSchema.parse(entry.json());
    return {
      ...lease,
      ...(protection === undefined ? {} : { protection }),
      ...(dissolved === undefined ? {} : { dissolved }),
      revision: entry.revision,
    };
  }

  async replace(pairId: string, lease: LeaseWord, revision: number): Promise<Lease | null> {
    const stamped = { ...lease, stamp: crypto.randomUUID() };
    const value = JSON.stringify(stamped);
    const write = (bucket: KV) =>
      (revision === 0 ? bucket.create(pairId, value) : bucket.update(pairId, value, revision)).catch(
        (error: unknown) => {
          if (isWrongRevision(error)) return null;
          throw error;
        },
      );
    const written = await this.ask(write);
    return written === null ? null : { ...stamped, revision: written };
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.connection?.close().catch(() => undefined);
  }

  /** After any failure the bucket is opened anew: its storage may have been lost, and the bucket with it. */
  private async ask<T>(question: (bucket: KV) => Promise<T>): Promise<T> {
    try {
      this.opening ??= this.open();
      const bucket = await this.within(this.opening);
      return await this.within(question(bucket));
    } catch (error) {
      this.opening = null;
      throw error;
    }
  }

  private async open(): Promise<KV> {
    this.connecting ??= this.connect().catch((error: unknown) => {
      this.connecting = null;
      throw error;
    });
    const buckets = new Kvm(await this.connecting);
    // made by whoever comes first, where the account may make it; otherwise it is there already
    const make = (replicas: number) => buckets.create(BUCKET, { history: 1, replicas });
    return make(this.witness.servers.length >= 3 ? 3 : 1)
      .catch(() => make(1))
      .catch(() => buckets.open(BUCKET));
  }

  private async connect(): Promise<NatsConnection> {
    const { servers, credentialsFile } = this.witness;
    const connection = await connect({
      servers: [...servers],
      name: 'understudy',
      timeout: this.limitMs,
      reconnectTimeWait: RECONNECT_MS,
      maxReconnectAttempts: -1,
      pingInterval: 2000,
      maxPingOut: 2,
      ...(credentialsFile === undefined ? {} : { authenticator: credsAuthenticator(readFileSync(credentialsFile)) }),
    });
    if (this.closed) {
      await connection.close();
      throw new Error('closed');
    }
    this.connection = connection;
    void connection.closed().then(() => {
      this.connection = null;
      this.connecting = null;
      this.opening = null;
    });
    return connection;
  }

  private within<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`the witness has not answered within ${this.limitMs} ms`)),
        this.limitMs,
      );
    });
    return Promise.race([work, limit]).finally(() => clearTimeout(timer));
  }
}

function isWrongRevision(error: unknown): boolean {
  const { code, api_error: api } = error as { code?: number; api_error?: { err_code?: number } };
  return code === WRONG_REVISION || api?.err_code === WRONG_REVISION || /wrong last sequence/i.test(String(error));
}
