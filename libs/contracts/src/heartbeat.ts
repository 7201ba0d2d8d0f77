import { z } from 'zod';
import { defineEvent, defineRequest } from './define-message.ts';
import {
  EpochSchema,
  FailoverTypeSchema,
  HaStateSchema,
  LsnSchema,
  PeerIdentitySchema,
  ServerRoleSchema,
} from './vocabulary.ts';

const ToldProtectionSchema = z.object({ epoch: EpochSchema, change: z.int().nonnegative(), inForce: z.boolean() });

/** Beats without an answer since the heartbeat service started. */
const MissedBeatsSchema = z.int().nonnegative().optional();

/** What a server tells its peer about itself in the answer to each beat. */
export const ServerStatusSchema = z.object({
  pairId: z.string().nullable(),
  name: z.string(),
  role: ServerRoleSchema,
  state: HaStateSchema,
  /** The run of the server (`node run`): a new one means it was booted. */
  runId: z.string(),
  failoverType: FailoverTypeSchema,
  /** Highest epoch it knows of. */
  epoch: EpochSchema,
  /** Epoch under which it owns the active role; 0 = it does not own it. */
  hold: EpochSchema,
  /** Epoch of the owner whose data its database last followed or wrote. */
  lineage: EpochSchema,
  /** It serves the application: owns the role and its effects have run. */
  serving: z.boolean(),
  /** Its database copy is whole. */
  complete: z.boolean(),
  /** Its record was lost: what its data are, nobody knows; absent: it is whole. */
  doubted: z.boolean().optional(),
  /** The owner has stopped for a hand-over: everything is closed cleanly and ends at `finalLsn`. */
  finalLsn: LsnSchema.nullable(),
  lsn: LsnSchema.nullable(),
  timeline: z.int().nullable(),
  /** Active: bytes its standby has not confirmed as flushed; null or absent when unknown. Standby: received and not replayed. */
  lagBytes: z.number().nullable().optional(),
  /** Its database streams with the peer (as source or as standby). */
  streaming: z.boolean(),
  databaseUsable: z.boolean(),
  processesOk: z.boolean(),
  /** It is being stopped on purpose and waits a moment for the other server to take over. */
  stopping: z.boolean().optional(),
  /** With a witness: this answer lets the peer serve for the time of a lease; absent: it does. */
  grants: z.boolean().optional(),
  /**
   * Whether commits wait for the standby: of an owner its own word, of the other what it was told last. `change` grows under an epoch;
   * absent: commits have never waited.
   */
  protection: ToldProtectionSchema.optional(),
  /** The pair's running operation, as this server knows it. */
  operation: z.object({ id: z.string(), kind: z.string() }).nullable(),
  version: z.string(),
  /** Its last decision of a switch that is under way, as a W3C `traceparent`: what follows from it here belongs to the same trace. */
  trace: z.string().max(64).optional(),
});

/** What a server tells its peer about itself. */
export type ServerStatus = z.infer<typeof ServerStatusSchema>;

/** heartbeat asks its own health-monitor for the status to answer a beat with; a silent health-monitor means no answer to the peer. */
export const OwnStatusQuery = defineRequest({
  reach: 'local',
  service: 'health-monitor',
  kind: 'query',
  name: 'own-status',
  trace: 'none',
  data: z.object({}),
  reply: ServerStatusSchema,
});

/**
 * One beat: the peer's heartbeat must answer with the same nonce. Only an answer to a nonce sent a short while ago, on our own
 * monotonic clock, is a sign of life: NATS may deliver messages many seconds old after a freeze.
 */
export const Beat = defineRequest({
  reach: 'pair',
  service: 'heartbeat',
  kind: 'query',
  name: 'beat',
  trace: 'none',
  data: z.object({ nonce: z.string(), sequence: z.int(), pairId: z.string() }),
  reply: z.object({ nonce: z.string(), status: ServerStatusSchema }),
});

/** Hint that the named server's status has changed: the other one beats at once. No evidence of anything. */
export const StatusChangedHint = defineEvent({
  reach: 'pair',
  service: 'heartbeat',
  name: 'status-changed',
  data: z.object({}),
});

/** health-monitor says whom to watch (null: nobody); published at a change and every 5 s. */
export const WatchPeer = defineEvent({
  reach: 'local',
  service: 'health-monitor',
  name: 'watch-peer',
  data: z.object({ peer: PeerIdentitySchema.nullable() }),
});

/** health-monitor's own status changed: heartbeat passes the hint to the peer. */
export const OwnStatusChanged = defineEvent({
  reach: 'local',
  service: 'health-monitor',
  name: 'own-status-changed',
  data: z.object({ state: HaStateSchema, epoch: EpochSchema }),
});

/** A fresh answer of the peer. */
export const PeerHeard = defineEvent({
  reach: 'local',
  service: 'heartbeat',
  name: 'peer-heard',
  /** `sentAtMs`: when the beat was sent, on the monotonic clock of this machine. */
  data: z.object({
    status: ServerStatusSchema,
    roundTripMs: z.number(),
    sentAtMs: z.number().optional(),
    missedBeats: MissedBeatsSchema,
  }),
});

/** No answer for `missedLimit` intervals. Repeated every interval while it lasts. Spec: 3 missed heartbeats. */
export const PeerLost = defineEvent({
  reach: 'local',
  service: 'heartbeat',
  name: 'peer-lost',
  trace: 'pass',
  data: z.object({ silentMs: z.number(), missedBeats: MissedBeatsSchema }),
});

/** Lost, the grace time is over and the peer's Health Monitor URL did not answer either. Repeated every interval while it lasts. */
export const PeerConfirmedLost = defineEvent({
  reach: 'local',
  service: 'heartbeat',
  name: 'peer-confirmed-lost',
  trace: 'pass',
  data: z.object({ silentMs: z.number(), probe: z.string() }),
});

/** Lost by beats, yet its Health Monitor URL answers: the server lives, only its beat is gone. */
export const PeerAnsweredProbe = defineEvent({
  reach: 'local',
  service: 'heartbeat',
  name: 'peer-answered-probe',
  trace: 'pass',
  data: z.object({ silentMs: z.number() }),
});

/** The peer's Health Monitor URL says that the pair is dissolved: it was removed while this server could not be told. Repeated. */
export const PeerDissolvedPair = defineEvent({
  reach: 'local',
  service: 'heartbeat',
  name: 'peer-dissolved-pair',
  /** `replaced`: because another server is in the place of this one now. */
  data: z.object({ pairId: z.string(), replaced: z.boolean().optional() }),
});

/** The primary's word that it has dissolved the pair. */
export const AnnounceDissolution = defineRequest({
  reach: 'pair',
  service: 'health-monitor',
  kind: 'command',
  name: 'dissolution',
  data: z.object({ pairId: z.string() }),
  reply: z.object({}),
});

/** Planned work begins on the pair (`minutes`, counted from now), or ends (null). Told to the peer by the server that got the order. */
export const AnnounceMaintenance = defineRequest({
  reach: 'pair',
  service: 'health-monitor',
  kind: 'command',
  name: 'maintenance',
  data: z.object({ pairId: z.string(), minutes: z.number().positive().nullable(), reason: z.string() }),
  reply: z.object({ accepted: z.boolean(), reason: z.string() }),
});

/** Request of consent to own the active role, answered by the peer's health-monitor. `known...`: of the peer, when it was asked. */
export const RequestConsent = defineRequest({
  reach: 'pair',
  service: 'health-monitor',
  kind: 'command',
  name: 'consent',
  data: z.object({
    pairId: z.string(),
    nonce: z.string(),
    epoch: EpochSchema,
    knownLineage: EpochSchema,
    knownFinalLsn: LsnSchema.nullable(),
  }),
  reply: z.object({ nonce: z.string(), granted: z.boolean(), reason: z.string(), status: ServerStatusSchema }),
});

/** The virtual IP that a server has noted for its pair, null where there is none of that family. `change`: +1 with each change in place. */
const NotedVirtualIpSchema = z.object({
  ipv4: z.ipv4().nullable(),
  ipv6: z.ipv6().nullable(),
  change: z.int().nonnegative(),
});
export type NotedVirtualIp = z.infer<typeof NotedVirtualIpSchema>;

/**
 * What a server has noted as the pair's virtual IP; the answer is what the other has, and why that one could not hold what it was told.
 * Each takes over what has the higher `change`. Repeated. `onlyAsked`: nothing is taken over yet, an operator would like it.
 */
export const CompareVirtualIp = defineRequest({
  reach: 'pair',
  service: 'health-monitor',
  kind: 'command',
  name: 'compare-virtual-ip',
  data: z.object({ pairId: z.string(), noted: NotedVirtualIpSchema, onlyAsked: z.boolean() }),
  reply: z.object({
    noted: NotedVirtualIpSchema,
    objections: z.array(z.object({ pointer: z.string(), message: z.string() })),
  }),
});

/** Request to give up the active role in an orderly way; the progress is seen in the status. */
export const RequestHandover = defineRequest({
  reach: 'pair',
  service: 'health-monitor',
  kind: 'command',
  name: 'hand-over',
  data: z.object({ pairId: z.string(), operationId: z.string(), epoch: EpochSchema }),
  reply: z.object({ accepted: z.boolean(), reason: z.string() }),
});

/** A certificate that a server is about to use, or uses. Under the old one, over the pair link, its own words. */
export const CertificateOfferSchema = z.object({ pairId: z.string(), certificatePem: z.string().max(8192) });
export type CertificateOffer = z.infer<typeof CertificateOfferSchema>;

const certificateRequest = (name: string) =>
  defineRequest({
    reach: 'pair',
    service: 'health-monitor',
    kind: 'command',
    name,
    data: CertificateOfferSchema,
    reply: z.object({ accepted: z.boolean(), reason: z.string() }),
  });

/** This server is about to show that certificate: trust it beside the present one. */
export const OfferCertificate = certificateRequest('offer-certificate');
/** This server shows that certificate now: connect to it, and when it is so, trust the old one no more. */
export const AdoptCertificate = certificateRequest('adopt-certificate');
