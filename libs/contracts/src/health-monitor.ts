import { z } from 'zod';
import { defineEvent, defineRequest } from './define-message.ts';
import { EpochSchema, FailoverTypeSchema, PeerIdentitySchema, ServerRoleSchema } from './vocabulary.ts';

/** One supervised process of the application, as status shows it. */
export const ProcessViewSchema = z.object({
  name: z.string(),
  adapter: z.enum(['exec', 'systemd', 'docker']),
  state: z.enum(['running', 'starting', 'stopped', 'failed', 'disabled']),
  pid: z.int().nullable(),
  since: z.iso.datetime().nullable(),
  restarts: z.int(),
  critical: z.boolean(),
  reason: z.string(),
});
export type ProcessView = z.infer<typeof ProcessViewSchema>;

/** Planned work under way. */
export const MaintenanceViewSchema = z.object({
  until: z.iso.datetime(),
  minutes: z.number(),
  reason: z.string(),
});

/** Names of operator actions, as in availableActions. */
export const OPERATOR_ACTIONS = [
  'register',
  'failover',
  'forced-failover',
  'failback',
  'forced-failback',
  'activate-alone',
  'remove',
  'maintenance',
  'end-maintenance',
  'cancel',
  'change-configuration',
] as const;
export type OperatorAction = (typeof OPERATOR_ACTIONS)[number];

/** Body of GET /api/v1/ha/status. States are the specification's labels, e.g. "Primary Active". */
export const StatusViewSchema = z.object({
  node: z.object({ name: z.string(), address: z.string(), homeRole: ServerRoleSchema, version: z.string() }),
  state: z.string(),
  stateReason: z.string(),
  currentRole: z.enum(['active', 'standby', 'none']),
  configurationMode: z.string(),
  failoverType: FailoverTypeSchema,
  epoch: EpochSchema,
  since: z.iso.datetime(),
  peer: z
    .object({
      name: z.string(),
      address: z.string(),
      state: z.string().nullable(),
      reachable: z.boolean(),
      lastHeartbeatAt: z.iso.datetime().nullable(),
      roundTripMs: z.number().nullable(),
    })
    .nullable(),
  /** `held`: this server has all of them at this moment; `reason`: why it has not, though it should. */
  virtualIp: z.object({
    ipv4: z.string().nullable(),
    ipv6: z.string().nullable(),
    held: z.boolean(),
    reason: z.string().optional(),
  }),
  database: z.object({
    role: z.string(),
    timeline: z.int().nullable(),
    lsn: z.string().nullable(),
    lagBytes: z.number().nullable(),
    lagSeconds: z.number().nullable(),
    replication: z.enum(['async', 'sync']),
    protected: z.boolean(),
    /** Synchronous replication is configured, and the standby may lack something that was acknowledged. */
    exposed: z.boolean().optional(),
    retentionRemainingSeconds: z.number().nullable(),
    running: z.boolean(),
    usable: z.boolean(),
    streaming: z.boolean(),
  }),
  fileSync: z.object({
    lastRunAt: z.iso.datetime().nullable(),
    pending: z.int().nullable(),
    errors: z.int().nullable(),
  }),
  processes: z.array(ProcessViewSchema),
  availableActions: z.array(z.string()),
  unavailableActions: z.array(z.object({ action: z.string(), reason: z.string() })),
  automaticFailover: z.object({ armed: z.boolean(), reason: z.string() }),
  maintenance: MaintenanceViewSchema.nullable().optional(),
  /** The third vote; null: none is configured. `holder` got the lease last, `leaseRemainingSeconds` is this server's own. */
  witness: z
    .object({
      kind: z.enum(['nats', 'gateway']),
      reachable: z.boolean(),
      holder: z.object({ role: ServerRoleSchema, epoch: EpochSchema }).nullable(),
      leaseRemainingSeconds: z.number().nullable(),
    })
    .nullable()
    .optional(),
  /** What this server remembers. `lost`: what it cannot know any more; `silentSeconds`: so long its journal has not answered. */
  record: z.object({ lost: z.string().nullable(), silentSeconds: z.number().nullable() }).optional(),
  /** What is being done at the moment, within an operation or by itself: a copy, a rewind. */
  activity: z.object({ step: z.string(), progressPercent: z.number().nullable() }).nullable().optional(),
  operation: z
    .object({ id: z.string(), kind: z.string(), step: z.string(), progressPercent: z.number().nullable() })
    .nullable(),
});
export type StatusView = z.infer<typeof StatusViewSchema>;

/** One line of the event list. `id` grows by one per server. */
export const EventViewSchema = z.object({
  id: z.int(),
  at: z.iso.datetime(),
  server: z.string(),
  severity: z.enum(['info', 'warning', 'critical']),
  code: z.string(),
  message: z.string(),
  state: z.string().nullable(),
  previousState: z.string().nullable(),
  rule: z.string().nullable(),
  epoch: EpochSchema.nullable(),
});
export type EventView = z.infer<typeof EventViewSchema>;

/** Long work. GET /api/v1/operations/{id}. */
export const OperationViewSchema = z.object({
  id: z.string(),
  kind: z.string(),
  state: z.enum(['running', 'succeeded', 'failed', 'cancelled']),
  step: z.string(),
  progressPercent: z.number().nullable(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().nullable(),
  error: z.string().nullable(),
});
export type OperationView = z.infer<typeof OperationViewSchema>;

/** The HA configuration, GET /api/v1/ha/configuration. */
export const HaConfigurationViewSchema = z.object({
  configured: z.boolean(),
  secondaryAddress: z.string().nullable(),
  primaryAddress: z.string().nullable(),
  failoverType: FailoverTypeSchema,
  emailAddresses: z.array(z.string()),
  virtualIp: z.object({ ipv4: z.string().nullable(), ipv6: z.string().nullable() }),
  pairId: z.string().nullable(),
});
export type HaConfigurationView = z.infer<typeof HaConfigurationViewSchema>;

const Started = z.object({ operationId: z.string() });
const command = <D extends z.ZodType, R extends z.ZodType>(name: string, data: D, reply: R) =>
  defineRequest({ reach: 'local', service: 'health-monitor', kind: 'command', name, data, reply });
const query = <D extends z.ZodType, R extends z.ZodType>(name: string, data: D, reply: R) =>
  defineRequest({ reach: 'local', service: 'health-monitor', kind: 'query', name, data, reply });

/**
 * Refused with codes: `wrong-server`, `already-configured`, `operation-running`, `invalid-input`. Everything later is the operation's error.
 * `replacePrimary`: in the place of the lost primary of an active secondary, whose database replaces this server's; needs `confirmed`.
 */
export const Register = command(
  'register',
  z.object({
    secondaryAddress: z.string(),
    authenticationKey: z.string(),
    emailAddresses: z.array(z.string()),
    failoverType: FailoverTypeSchema,
    virtualIp: z.object({ ipv4: z.string().optional(), ipv6: z.string().optional() }).optional(),
    replacePrimary: z.boolean().optional(),
    confirmed: z.boolean().optional(),
  }),
  Started,
);
/** Operator commands are refused with code `not-allowed` and the failing condition with its value, or `wrong-server`, `operation-running`, `data-loss-not-accepted`. */
export const Failover = command('failover', z.object({ acceptDataLoss: z.boolean() }), Started);
export const ForcedFailover = command('forced-failover', z.object({}), Started);
export const Failback = command('failback', z.object({ force: z.boolean(), acceptDataLoss: z.boolean() }), Started);
/** `confirm` must be the peer's name, else `invalid-input`. */
export const ActivateAlone = command(
  'activate-alone',
  z.object({ confirm: z.string(), acceptDataLoss: z.boolean().optional() }),
  Started,
);
/** `confirm`: the peer's name, where it is lost and may serve; else `confirmation-needed`. */
export const RemoveHa = command(
  'remove',
  z.object({ confirm: z.string().optional(), acceptDataLoss: z.boolean().optional() }),
  Started,
);
/** Planned work begins on both servers. Refused with `peer-unreachable` on a primary whose secondary cannot be told. */
export const BeginMaintenance = command(
  'begin-maintenance',
  z.object({ minutes: z.number().positive(), reason: z.string() }),
  z.object({ maintenance: MaintenanceViewSchema }),
);
/** Planned work ends on both servers. */
export const EndMaintenance = command('end-maintenance', z.object({}), z.object({ maintenance: z.null() }));
/** Refused with `not-found`, `past-point-of-no-return`, `already-finished`. */
export const CancelOperation = command('cancel-operation', z.object({ operationId: z.string() }), z.object({}));
/** `virtualIp` null: none any more. Refused with `invalid-input`, `peer-unreachable` (the virtual IP is changed with the peer's word only). */
export const ChangeConfiguration = command(
  'change-configuration',
  z.object({
    failoverType: FailoverTypeSchema.optional(),
    emailAddresses: z.array(z.string()).optional(),
    virtualIp: z.object({ ipv4: z.string().optional(), ipv6: z.string().optional() }).nullable().optional(),
  }),
  HaConfigurationViewSchema,
);
/** Checks an authentication key; the gateway keeps the delays. `configured: false`: no key has been set on this server yet. */
export const VerifyAuthenticationKey = command(
  'verify-authentication-key',
  z.object({ authenticationKey: z.string() }),
  z.object({ configured: z.boolean(), valid: z.boolean() }),
);

/**
 * Changes the authentication key, on both servers of a pair or on neither; `servers`: the names of those that have it now. Refused with
 * `invalid-input` (too weak), `wrong-server`, `operation-running`, `no-key`, `wrong-key`, `peer-unreachable`.
 */
export const ChangeAuthenticationKey = command(
  'change-authentication-key',
  z.object({ newAuthenticationKey: z.string() }),
  z.object({ servers: z.array(z.string()) }),
);

/** What this server says to one that asks as a member of that pair. Goes through the state machine: one that is stuck gives no answer. */
export const PairStandingQuery = query(
  'pair-standing',
  z.object({ pairId: z.string() }),
  z.object({
    dissolved: z.boolean(),
    /** It is a primary in whose place another server is now. */
    replaced: z.boolean().optional(),
  }),
);
export const StatusQuery = query('status', z.object({}), StatusViewSchema);
/** What was counted since the health monitor started, as the names of the metrics have it; of a histogram how many are up to each bound. */
export const MeasurementsQuery = query(
  'measurements',
  z.object({}),
  z.object({
    samples: z.array(
      z.object({
        metric: z.string(),
        attributes: z.record(z.string(), z.string()),
        value: z.union([z.number(), z.object({ count: z.int(), sum: z.number(), upTo: z.array(z.int()) })]),
      }),
    ),
  }),
);
/** Newest first; `since` is an event id (exclusive). */
export const EventsQuery = query(
  'events',
  z.object({ since: z.int().nullable(), limit: z.int().min(1).max(1000) }),
  z.object({ events: z.array(EventViewSchema) }),
);
export const OperationsQuery = query(
  'operations',
  z.object({}),
  z.object({ operations: z.array(OperationViewSchema) }),
);
export const ConfigurationQuery = query('configuration', z.object({}), HaConfigurationViewSchema);

/** Every new line of the event list. */
export const EventLogged = defineEvent({
  reach: 'local',
  service: 'health-monitor',
  name: 'event-logged',
  data: EventViewSchema,
});

/**
 * Since which decision commits of this server's PostgreSQL shall wait for the peer; null: they shall not. Repeated every second.
 * `sequence` grows with the decisions: what is older than something heard already is nothing.
 */
export const CommitsShallWait = defineEvent({
  reach: 'local',
  service: 'health-monitor',
  name: 'commits-shall-wait',
  data: z.object({ sequence: z.int().nonnegative(), waitSince: z.int().nullable() }),
});

/**
 * Renews this server's certificate, or goes on with the renewal that is under way. Answers after seconds, with where it stands: `step` null
 * when it is over, else `offered` or `in-use`; it goes on by itself then. `reason`: what it waits for.
 */
export const RenewCertificate = command(
  'renew-certificate',
  z.object({}),
  z.object({ step: z.enum(['offered', 'in-use']).nullable(), reason: z.string().nullable() }),
);

const Fingerprint = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * The pinned certificate of the peer is trusted no more; the pair stays. `host` null: whatever the peer is called. `next`: what happens now, for
 * people. Refused with `not-found`, `not-allowed` (the peer is connected under it).
 */
export const ForgetCertificate = command(
  'forget-certificate',
  z.object({ host: z.string().max(300).nullable() }),
  z.object({ host: z.string(), fingerprint: Fingerprint, next: z.string() }),
);
/** How a certificate that was not seen before comes to be trusted; what is pinned stays pinned. */
export const CertificateModeSchema = z.enum(['trust-on-first-use', 'pinned']);
export const SetCertificateMode = command(
  'set-certificate-mode',
  z.object({ mode: CertificateModeSchema }),
  z.object({ mode: CertificateModeSchema }),
);
/** An operator gives a certificate beforehand, as mode `pinned` asks. */
export const PinCertificate = command(
  'pin-certificate',
  z.object({ fingerprint: Fingerprint }),
  z.object({ fingerprint: Fingerprint }),
);
/** Takes that back. What is pinned already stays pinned. Refused with `not-found`. */
export const UnpinCertificate = command(
  'unpin-certificate',
  z.object({ fingerprint: z.string().max(300) }),
  z.object({ fingerprint: Fingerprint }),
);
/** A server of the pair that has forgotten the other's certificate proves itself, under its own. Binary values are base64url. */
export const RecognitionQuestionSchema = z.object({
  pairId: z.string().max(100),
  nonce: z.string().min(20).max(100),
  certificatePem: z.string().max(8192),
  proof: z.string().max(100),
});
export type RecognitionQuestion = z.infer<typeof RecognitionQuestionSchema>;
/** Refused with `wrong-key`, `no-key`, `expired` (not of that pair), `too-many-attempts`. */
export const RecogniseCommand = command('recognise', RecognitionQuestionSchema, z.object({ proof: z.string() }));

/** What the primary tells the secondary first, over HTTPS, before anything is proven. Binary values are base64url. */
export const RegistrationHelloSchema = z.object({
  protocol: z.literal(1),
  version: z.string(),
  name: z.string(),
  role: ServerRoleSchema,
  address: z.string(),
  ports: PeerIdentitySchema.shape.ports,
  certificatePem: z.string().max(8192),
  nonce: z.string().min(20).max(100),
  pairId: z.string().max(100),
  failoverType: FailoverTypeSchema,
  emailAddresses: z.array(z.string()),
  databaseVersion: z.string(),
  /** It takes the place of the lost primary of this active secondary; absent: it registers a secondary. */
  replacePrimary: z.literal(true).optional(),
  /** The virtual IP of the pair. */
  virtualIp: z.object({ ipv4: z.ipv4().nullable(), ipv6: z.ipv6().nullable() }).optional(),
});
export type RegistrationHello = z.infer<typeof RegistrationHelloSchema>;
export const RegistrationChallengeSchema = z.object({
  protocol: z.literal(1),
  version: z.string(),
  name: z.string(),
  role: ServerRoleSchema,
  address: z.string(),
  ports: PeerIdentitySchema.shape.ports,
  certificatePem: z.string().max(8192),
  nonce: z.string(),
  salt: z.string(),
  databaseVersion: z.string(),
});
export type RegistrationChallenge = z.infer<typeof RegistrationChallengeSchema>;
/** The gateway of the secondary passes the three steps of registration through to its health-monitor. Refusals: `wrong-role`, `wrong-version`, `already-paired`, `not-replaceable`, `wrong-key`, `too-many-attempts`, `same-name`, `expired`, `virtual-ip`. */
export const RegistrationHelloCommand = command(
  'registration-hello',
  RegistrationHelloSchema,
  RegistrationChallengeSchema,
);
/** `proof` = HMAC over both transcripts by the stretched key; the reply proves the same the other way and pins the primary. */
export const RegistrationProveCommand = command(
  'registration-prove',
  z.object({ nonce: z.string(), proof: z.string() }),
  z.object({ proof: z.string() }),
);
/** The primary's word that the registration is abandoned; authenticated by an HMAC over the pairId with the session key. */
export const RegistrationAbandonCommand = command(
  'registration-abandon',
  z.object({ pairId: z.string(), proof: z.string() }),
  z.object({}),
);

/**
 * The primary's offer of a new authentication key, over HTTPS: salt and verifier, sealed by the present key. `mark`: HMAC by the new key, by
 * which whoever has it already knows so. Binary values are base64url.
 */
export const AuthenticationKeyOfferSchema = z.object({
  pairId: z.string().max(100),
  nonce: z.string().max(100),
  sealed: z.string().max(500),
  mark: z.string().max(100),
});
export type AuthenticationKeyOffer = z.infer<typeof AuthenticationKeyOfferSchema>;
/** `proof`: HMAC by the new key. Refused with `wrong-key`, `no-key`, `expired` (not of that pair), `too-many-attempts`. */
export const AdoptAuthenticationKeyCommand = command(
  'adopt-authentication-key',
  AuthenticationKeyOfferSchema,
  z.object({ proof: z.string() }),
);
