import { headers, type Msg, type PublishOptions } from '@nats-io/transport-node';
import type { Clock } from '@understudy/platform';
import { z } from 'zod';
import { BusError } from './bus-error.ts';
import { parseData } from './wire.ts';

const HEADER = 'understudy-order';
/** Longer than a sender waits and repeats: the deadline of a command is 15 s, and the bus is waited for 6 s. */
const KEPT_MS = 25_000;
/** Most answers that are kept for one command. */
const KEPT_MAX = 256;
/** For people. */
const UNKNOWN =
  'The service was restarted before it answered, so it is not known whether this was carried out. Look at the status before you repeat it.';

const OrderSchema = z.object({ id: z.uuid(), firstSentMs: z.number().nonnegative(), isRepeated: z.boolean() });

/**
 * What a command to a service of this server is known by when it is sent more than once: the same `id` and the instant of its first
 * sending (CLOCK_MONOTONIC, ms; only processes of one machine can compare it), and whether it was sent before.
 */
export type Order = z.infer<typeof OrderSchema>;

/** What goes out beside the payload of a command: the order with the rest. */
export function withOrder(beside: Pick<PublishOptions, 'headers'>, order: Order | undefined): typeof beside {
  if (order === undefined) return beside;
  const carried = beside.headers ?? headers();
  carried.set(HEADER, JSON.stringify(order));
  return { headers: carried };
}

/** The order that a message carries, if it is one. Throws `BusError` `invalid-message`. */
export function orderOf(message: Msg): Order | undefined {
  const text = message.headers?.get(HEADER);
  return text ? parseData(OrderSchema, text, `${HEADER} of ${message.subject}`) : undefined;
}

/**
 * Answers an order once, however often it arrives. The bus is replaced when the peer changes, and takes answers that are under way with
 * it: whoever waits for one cannot know whether the order was taken, and repeats it. The memory is that of one responder: what came to
 * an earlier one, or was forgotten, is not known here.
 */
export class OnceMemory<Answer> {
  private readonly kept = new Map<string, { firstSentMs: number; arrivedAtMs: number; answer: Promise<Answer> }>();
  /** Every order that was first sent later than this and has come is in `kept`. */
  private completeSinceMs: number;

  constructor(private readonly clock: Clock) {
    this.completeSinceMs = clock.nowMs();
  }

  /**
   * The answer that this order has, or gets from `carryOut`. Throws `BusError` `outcome-unknown` for a repeated one that may have been
   * carried out before.
   */
  answer({ id, firstSentMs, isRepeated }: Order, carryOut: () => Promise<Answer>): Promise<Answer> {
    const known = this.kept.get(id);
    if (known !== undefined) return known.answer;
    // one that was first sent since and is not known here has never come: only its sending was lost
    if (isRepeated && firstSentMs <= this.completeSinceMs) throw new BusError('outcome-unknown', UNKNOWN, true);
    this.makeRoom();
    const answer = carryOut();
    this.kept.set(id, { firstSentMs, arrivedAtMs: this.clock.nowMs(), answer });
    return answer;
  }

  private makeRoom(): void {
    const sinceMs = this.clock.nowMs() - KEPT_MS;
    for (const [id, { firstSentMs, arrivedAtMs }] of this.kept) {
      if (this.kept.size < KEPT_MAX && arrivedAtMs > sinceMs) return;
      this.kept.delete(id);
      this.completeSinceMs = Math.max(this.completeSinceMs, firstSentMs);
    }
  }
}
