/** Bounds of the public surface. Times in milliseconds, sizes in bytes. */
export const LIMITS = {
  /** Largest request body of REST. */
  bodyBytesMax: 64 * 1024,
  /** Largest body of what is asked without a login. */
  openBodyBytesMax: 16 * 1024,
  /** TLS handshake, header and whole request must each be through within this. */
  handshakeMs: 10_000,
  headersMs: 10_000,
  requestMs: 30_000,
  connectionsMax: 512,
  /** How long a status may be handed out again; load balancers ask often. */
  statusCacheMs: 200,
  /** How long a bus that is away is waited for: with a query, and with a command, which nobody should have to repeat on a busy machine. */
  busAwayMs: { query: 1_500, command: 6_000 },
  /** Deadlines of what is asked over the bus. */
  statusMs: 2_000,
  queryMs: 5_000,
  standingMs: 400,
  commandMs: 15_000,
  verifyKeyMs: 5_000,
  measureMs: 26_000,
  /** What the way to another server is measured with: so many blocks, for so long. */
  sampleBlocks: 256,
  sampleBlockBytes: 256 * 1024,
  sampleMs: 5_000,
  sessionMs: 8 * 3_600_000,
  sessionsMax: 1_000,
  /** Event streams at a time, the silence after which a comment keeps one alive, and what one may have unsent. */
  streamsMax: 50,
  streamBeatMs: 15_000,
  streamUnsentBytesMax: 1024 * 1024,
} as const;
