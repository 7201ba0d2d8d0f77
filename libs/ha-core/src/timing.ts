/** Numbers of the specification and of docs/decisions that are not settings of the configuration file. Milliseconds. */
export const TIMING = {
  /** A standby detached for longer counts as lost for `Primary Active`. Decision: docs/decisions/0002-timers.md */
  attachLimitMs: 30_000,
  /** A consent is accepted within this time of the taker's own asking. */
  consentLifetimeMs: 10_000,
  /** What the giver of a consent waits beyond its lifetime before it may activate without its peer. */
  consentMarginMs: 2_000,
  /** A hand-over that has not come to consent by then is abandoned, and the owner serves again. */
  handOverLimitMs: 120_000,
  /** How long a hand-over must look abandoned by the other side before the owner serves again. */
  abandonedAfterMs: 2_500,
  /** A failback whose primary does not answer with `Primary Failback` is undone. */
  failbackAnswerLimitMs: 60_000,
  /** A secondary that gave its consent to a failback waits so long for the primary to be heard again. */
  releaseLimitMs: 300_000,
  /** After start: how long a former active secondary searches for its peer before it serves again alone. */
  bootSearchMs: 25_000,
  /** The database of this server does not answer for so long: it has failed. */
  databaseUnusableLimitMs: 15_000,
  /** No event for so long, although ticks come every second: the manager itself stood still. */
  standstillMs: 4_000,
  /** Between two attempts to follow the peer. */
  followRetryMs: 5_000,
  /** Between two attempts to become active that nobody has ordered. */
  promotionRetryMs: 5_000,
  /** A server that might take over waits so much longer for the end of maintenance: the other was told later, and closes itself later. */
  maintenanceMarginMs: 10_000,
  /** Between two attempts to get the lease of the witness. */
  leaseRetryMs: 500,
  /** A standby whose stream is gone for so long gets help: rewind or copy is considered. */
  detachedBeforeFollowMs: 5_000,
  /** With synchronous replication commits wait so long for a standby whose stream is gone, before it is told that it may miss some. */
  exposeAfterMs: 3_000,
  /** Between two full copies after a failed one. Spec: "Primary Database Copy Failed". */
  copyRetryMs: 300_000,
} as const;

/** Two clocks run apart by less than that factor. */
export const CLOCK_MARGIN = 1.01;
