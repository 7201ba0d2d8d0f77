import { CertificateModeSchema, FailoverTypeSchema } from '@understudy/contracts';
import { z } from 'zod';

const Address = z
  .string()
  .trim()
  .max(253)
  .regex(/^[A-Za-z0-9.:_-]+$/, 'is neither an IP address nor a host name');
/** With a port or without; an IPv6 address with a port stands in brackets. */
const AddressWithPort = z
  .union(
    [
      Address,
      z
        .string()
        .trim()
        .regex(/^\[[0-9A-Fa-f:.]+\]:\d+$/),
    ],
    'is neither an IP address nor a host name, with or without a port (10.77.0.2:8082, [fd77::2]:8082)',
  )
  .refine((text) => {
    const port = /^(?:\[[^\]]+\]|[^:]+):([^:]*)$/.exec(text)?.[1];
    return port === undefined || (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535);
  }, 'has a port that is not one of 1 to 65535');
const AuthenticationKey = z.string().min(1, 'must not be empty').max(200, 'is longer than 200 characters');
const EmailAddresses = z
  .array(z.email({ error: ({ input }) => `is not an e-mail address: ${input}` }))
  .max(50, 'are more than 50');

/** Body of POST /auth/login: the authentication key, or a user's name and password. */
export const LoginInput = z
  .strictObject({
    authenticationKey: AuthenticationKey.optional(),
    username: z.string().min(1).max(100).optional(),
    password: z.string().min(1).max(200).optional(),
  })
  .refine((body) => (body.authenticationKey !== undefined) !== (body.username !== undefined), {
    message: 'needs either authenticationKey, or username and password',
  })
  .refine((body) => (body.username === undefined) === (body.password === undefined), {
    message: 'needs username and password together',
  });

const VirtualIp = z
  .strictObject({
    ipv4: z.ipv4('is not an IPv4 address').optional(),
    ipv6: z.ipv6('is not an IPv6 address').optional(),
  })
  .refine(({ ipv4, ipv6 }) => ipv4 !== undefined || ipv6 !== undefined, {
    message: 'names no address: ipv4, or ipv4 and ipv6',
  });

/**
 * Body of PUT /ha/configuration: registers the pair. `replacePrimary`: this server takes the place of the lost primary of an active
 * secondary, whose database replaces the one here, as has to be `confirmed`.
 */
export const RegisterInput = z.strictObject({
  secondaryAddress: AddressWithPort,
  authenticationKey: AuthenticationKey,
  emailAddresses: EmailAddresses.default([]),
  failoverType: FailoverTypeSchema,
  virtualIp: VirtualIp.optional(),
  replacePrimary: z.boolean().optional(),
  confirmed: z.boolean().optional(),
});

/** Body of PATCH /ha/configuration: what may change in place. `virtualIp` null: none any more. */
export const ChangeConfigurationInput = z
  .strictObject({
    failoverType: FailoverTypeSchema.optional(),
    emailAddresses: EmailAddresses.optional(),
    virtualIp: VirtualIp.nullable().optional(),
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), {
    message: 'names nothing to change: failoverType, emailAddresses or virtualIp',
  });

/** Body of POST /ha/failover. */
export const FailoverInput = z.strictObject({ acceptDataLoss: z.boolean().default(false) });

/** Body of POST /ha/failback. */
export const FailbackInput = z.strictObject({
  force: z.boolean().default(false),
  acceptDataLoss: z.boolean().default(false),
});

/** Body of POST /ha/activate-alone: the peer's name, typed by the operator. */
export const ActivateAloneInput = z.strictObject({
  confirm: z.string().min(1).max(100),
  acceptDataLoss: z.boolean().default(false),
});

/** Body of DELETE /ha/configuration; needed only where the peer cannot be reached: its name, typed by the operator. */
export const RemoveInput = z.strictObject({
  confirm: z.string().min(1).max(100).optional(),
  acceptDataLoss: z.boolean().default(false),
});

/**
 * Body of POST /ha/readiness-checks: of a pair nothing; before its registration where the secondary is, and its key. `fix`: closed ports are
 * opened in the firewalls of both servers.
 */
export const ReadinessInput = z
  .strictObject({
    secondaryAddress: AddressWithPort.optional(),
    authenticationKey: AuthenticationKey.optional(),
    fix: z.boolean().optional(),
  })
  .refine((body) => (body.secondaryAddress === undefined) === (body.authenticationKey === undefined), {
    message: 'needs secondaryAddress and authenticationKey together',
  });

/** Body of POST /ha/maintenance. */
export const MaintenanceInput = z.strictObject({
  minutes: z.number().min(1, 'is below 1').max(1440, 'is above 1440, a day'),
  reason: z.string().trim().min(1, 'must not be empty').max(500, 'is longer than 500 characters'),
});

/** Body of PUT /ha/authentication-key; how strong it has to be the health-monitor says. */
export const AuthenticationKeyInput = z.strictObject({ newAuthenticationKey: AuthenticationKey });

/** Body of what takes no input. */
export const NoInput = z.strictObject({});

const WholeNumber = z
  .string()
  .regex(/^\d{1,15}$/, 'is not a whole number')
  .transform(Number);

/** Query of GET /health: a former peer asks by the id of the pair whether it is dissolved. */
export const HealthInput = z.object({ pair: z.string().max(100).optional() });

/** Query of GET /ha/events: `since` is the id of an event, exclusive; newest first. */
export const EventsInput = z.object({
  since: WholeNumber.optional(),
  limit: WholeNumber.pipe(z.int().min(1, 'is below 1').max(1000, 'is above 1000')).optional(),
});

/** Body of PUT /certificates/mode. */
export const CertificateModeInput = z.strictObject({ mode: CertificateModeSchema });

/** A fingerprint as it is kept, from one that may have colons and capitals. */
export function fingerprintOf(text: string): string {
  return text.replaceAll(':', '').toLowerCase();
}

/** Body of POST /certificates/pins: SHA-256 of the certificate, with colons or without. */
export const PinCertificateInput = z.strictObject({
  fingerprint: z
    .string()
    .max(200)
    .transform(fingerprintOf)
    .pipe(
      z
        .string()
        .regex(
          /^[0-9a-f]{64}$/,
          'is not the SHA-256 of a certificate, 64 hexadecimal digits: copy it from "this server" of "understudy cert list" on the other server',
        ),
    ),
});
