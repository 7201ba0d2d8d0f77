import { z } from 'zod';
import { defineRequest } from './define-message.ts';
import { RegistrationChallengeSchema, RegistrationHelloSchema } from './health-monitor.ts';
import { MeasurementOrderSchema, MeasurementsSchema } from './readiness.ts';
import { PeerIdentitySchema } from './vocabulary.ts';

/** A server that has proven the authentication key, and with which this one may be registered: nothing of it is kept. */
export const CandidateSchema = PeerIdentitySchema.omit({ pairId: true });
export type Candidate = z.infer<typeof CandidateSchema>;

/** What the would-be primary says first, over HTTPS, to have the readiness of two servers checked that are no pair. Pins nothing. */
export const ReadinessHelloSchema = RegistrationHelloSchema.pick({
  protocol: true,
  version: true,
  name: true,
  role: true,
  address: true,
  ports: true,
  certificatePem: true,
  nonce: true,
  databaseVersion: true,
});
export type ReadinessHello = z.infer<typeof ReadinessHelloSchema>;

/** Lets its bearer measure at a server for a minute; both servers make it of the key and of what they have said. base64url. */
const Ticket = z.string().min(20).max(100);

const healthMonitor = { reach: 'local', service: 'health-monitor', kind: 'command' } as const;

/**
 * Proves the authentication key to the secondary at that address, and has it prove the same. Refused with `already-configured`,
 * `wrong-server`, and the codes of a registration.
 */
export const MeetCandidate = defineRequest({
  ...healthMonitor,
  name: 'meet-candidate',
  data: z.object({ secondaryAddress: z.string(), authenticationKey: z.string() }),
  reply: z.object({ candidate: CandidateSchema, ticket: Ticket }),
});

/** The gateway of the secondary passes both steps through. Refused with `wrong-role`, `same-name`, `no-key`, `too-many-attempts`. */
export const ReadinessHelloCommand = defineRequest({
  ...healthMonitor,
  name: 'readiness-hello',
  data: ReadinessHelloSchema,
  reply: RegistrationChallengeSchema,
});

/** Refused with `wrong-key`, `expired`, `too-many-attempts`. */
export const ReadinessProveCommand = defineRequest({
  ...healthMonitor,
  name: 'readiness-prove',
  data: z.object({ nonce: z.string().max(100), proof: z.string().max(100) }),
  reply: z.object({ proof: z.string() }),
});

/** Who bears that ticket; refused with `expired`. */
export const BearerQuery = defineRequest({
  ...healthMonitor,
  kind: 'query',
  name: 'bearer',
  data: z.object({ ticket: Ticket }),
  reply: CandidateSchema,
});

/** What the bearer of a ticket sends to a gateway to be sent a sample. */
export const TicketSchema = z.object({ ticket: Ticket });
/** The same to have it measured. */
export const TicketOrderSchema = MeasurementOrderSchema.extend({ ticket: Ticket });

/** Measures this server and its way to that one; refused with `operation-running` while it measures for another. Takes up to 24 s. */
export const MeasureForCandidate = defineRequest({
  reach: 'local',
  service: 'readiness-checker',
  kind: 'command',
  name: 'measure-for-candidate',
  data: TicketOrderSchema.extend({ candidate: CandidateSchema }),
  reply: MeasurementsSchema,
});
