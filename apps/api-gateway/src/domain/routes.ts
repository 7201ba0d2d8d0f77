import {
  BeginMaintenance,
  ConfirmDeletion,
  EndMaintenance,
  EventViewSchema,
  FileDifferencesSchema,
  FilesViewSchema,
  HaConfigurationViewSchema,
  OperationViewSchema,
  ProcessViewSchema,
  ReadinessReportSchema,
  RegistrationAbandonCommand,
  RegistrationChallengeSchema,
  RegistrationHelloSchema,
  RegistrationProveCommand,
  StatusViewSchema,
} from '@understudy/contracts';
import { z } from 'zod';
import * as inputs from './inputs.ts';
import type { NamedSchema, Route } from './route.ts';

const API = '/api/v1';

const named = (name: string, schema: z.ZodType): NamedSchema => ({ name, schema });
const Started = named('Started', z.object({ operationId: z.string(), href: z.string() }));
const Status = named('Status', StatusViewSchema);
const Configuration = named('Configuration', HaConfigurationViewSchema);
const Operation = named('Operation', OperationViewSchema);
const NoInput = named('NoInput', inputs.NoInput);

/** One pinned certificate. `host` is how the command line names it. */
export const CertificateSchema = z.object({
  host: z.string(),
  name: z.string(),
  address: z.string(),
  fingerprint: z.string(),
  subject: z.string(),
  validFrom: z.iso.datetime(),
  validTo: z.iso.datetime(),
  certificatePem: z.string(),
});

/** Answer of POST /auth/login. */
export const SessionSchema = z.object({ token: z.string(), expiresAt: z.iso.datetime(), scope: z.string() });

/** Answer of the three probes for load balancers. */
export const ProbeSchema = z.object({
  ok: z.boolean(),
  state: z.string().nullable(),
  currentRole: z.string().nullable(),
  reason: z.string(),
  /** Only with `pair`: that pair is dissolved. */
  dissolved: z.boolean().optional(),
  /** Only with `pair`: another server is in the place of the primary that asks. */
  replaced: z.boolean().optional(),
});

const session = { access: 'session' } as const;
const open = { access: 'open' } as const;
const longWork = { ...session, method: 'POST', status: 202, reply: Started, tag: 'Operator actions' } as const;
const pair = { ...open, method: 'POST', status: 200, tag: 'Registration' } as const;
const probe = { ...open, method: 'GET', status: 200, tag: 'Probes', reply: named('Probe', ProbeSchema) } as const;

/** Every route that is served, by name. */
export const ROUTES = {
  login: {
    ...open,
    method: 'POST',
    path: `${API}/auth/login`,
    tag: 'Session',
    summary: 'Sign in with the authentication key; the token also comes as a cookie',
    body: named('LoginInput', inputs.LoginInput),
    status: 200,
    reply: named('Session', SessionSchema),
    problems: [401, 422, 429, 501],
  },
  logout: {
    ...session,
    method: 'POST',
    path: `${API}/auth/logout`,
    tag: 'Session',
    summary: 'End the session',
    body: NoInput,
    status: 204,
  },
  status: {
    ...session,
    method: 'GET',
    path: `${API}/ha/status`,
    tag: 'Status',
    summary: 'State, peer, database, processes and what can be done now',
    status: 200,
    reply: Status,
  },
  configuration: {
    ...session,
    method: 'GET',
    path: `${API}/ha/configuration`,
    tag: 'HA configuration',
    summary: 'The HA configuration',
    status: 200,
    reply: Configuration,
  },
  register: {
    ...session,
    method: 'PUT',
    path: `${API}/ha/configuration`,
    tag: 'HA configuration',
    summary: 'Register the pair, or take the place of its lost primary; only on the primary',
    body: named('RegisterInput', inputs.RegisterInput),
    status: 202,
    reply: Started,
    problems: [409, 422],
  },
  changeConfiguration: {
    ...session,
    method: 'PATCH',
    path: `${API}/ha/configuration`,
    tag: 'HA configuration',
    summary: 'Change failover type and e-mail addresses in place',
    body: named('ChangeConfigurationInput', inputs.ChangeConfigurationInput),
    status: 200,
    reply: Configuration,
    problems: [409, 422],
  },
  remove: {
    ...session,
    method: 'DELETE',
    path: `${API}/ha/configuration`,
    tag: 'HA configuration',
    summary: 'Remove HA from both servers; where the peer cannot be reached, confirm with its name',
    body: named('RemoveInput', inputs.RemoveInput),
    status: 202,
    reply: Started,
    problems: [409, 422],
  },
  failover: {
    ...longWork,
    path: `${API}/ha/failover`,
    summary: 'Failover: the secondary takes over from a failed or lost primary; on the secondary',
    body: named('FailoverInput', inputs.FailoverInput),
    problems: [409, 422],
  },
  forcedFailover: {
    ...longWork,
    path: `${API}/ha/forced-failover`,
    summary: 'Forced failover: hand over from a healthy primary, without loss; on the secondary',
    body: NoInput,
    problems: [409],
  },
  failback: {
    ...longWork,
    path: `${API}/ha/failback`,
    summary: 'Failback: the primary takes its role again; on the secondary',
    body: named('FailbackInput', inputs.FailbackInput),
    problems: [409, 422],
  },
  activateAlone: {
    ...longWork,
    path: `${API}/ha/activate-alone`,
    summary: 'Take over: the operator’s word that the peer is down and stays down',
    body: named('ActivateAloneInput', inputs.ActivateAloneInput),
    problems: [409, 422],
  },
  beginMaintenance: {
    ...session,
    method: 'POST',
    path: `${API}/ha/maintenance`,
    tag: 'Operator actions',
    summary: 'Planned work: no automatic failover until it ends, at the latest after so many minutes; on both servers',
    body: named('MaintenanceInput', inputs.MaintenanceInput),
    status: 200,
    reply: named('Maintenance', BeginMaintenance.reply),
    problems: [409, 422, 503],
  },
  endMaintenance: {
    ...session,
    method: 'DELETE',
    path: `${API}/ha/maintenance`,
    tag: 'Operator actions',
    summary: 'End the planned work before its time',
    status: 200,
    reply: named('MaintenanceEnded', EndMaintenance.reply),
    problems: [409],
  },
  events: {
    ...session,
    method: 'GET',
    path: `${API}/ha/events`,
    tag: 'Events',
    summary: 'Events, newest first; since = id of an event, exclusive',
    query: inputs.EventsInput,
    status: 200,
    reply: named('Events', z.object({ events: z.array(EventViewSchema) })),
    problems: [422],
  },
  eventStream: {
    ...session,
    method: 'GET',
    path: `${API}/ha/events/stream`,
    tag: 'Events',
    summary: 'The same as server-sent events; Last-Event-ID continues where a stream broke off',
    status: 200,
    media: 'text/event-stream',
  },
  operations: {
    ...session,
    method: 'GET',
    path: `${API}/operations`,
    tag: 'Operations',
    summary: 'Long work, running and past',
    status: 200,
    reply: named('Operations', z.object({ operations: z.array(OperationViewSchema) })),
  },
  operation: {
    ...session,
    method: 'GET',
    path: `${API}/operations/:id`,
    tag: 'Operations',
    summary: 'Progress or result of one operation',
    status: 200,
    reply: Operation,
    problems: [404],
  },
  cancelOperation: {
    ...session,
    method: 'POST',
    path: `${API}/operations/:id/cancel`,
    tag: 'Operations',
    summary: 'Cancel, while it is before its point of no return',
    body: NoInput,
    status: 202,
    reply: Started,
    problems: [404, 409],
  },
  processes: {
    ...session,
    method: 'GET',
    path: `${API}/processes`,
    tag: 'Status',
    summary: 'The application’s processes on this server',
    status: 200,
    reply: named('Processes', z.object({ processes: z.array(ProcessViewSchema) })),
  },
  startReadinessChecks: {
    ...session,
    method: 'POST',
    path: `${API}/ha/readiness-checks`,
    tag: 'Readiness checks',
    summary: 'Check both servers; nothing waits for the result, and nothing is changed',
    body: named('ReadinessInput', inputs.ReadinessInput),
    status: 202,
    reply: Started,
    problems: [409, 422, 501],
  },
  latestReadinessChecks: {
    ...session,
    method: 'GET',
    path: `${API}/ha/readiness-checks/latest`,
    tag: 'Readiness checks',
    summary: 'What the newest run has found, beside the run before',
    status: 200,
    reply: named('ReadinessReport', ReadinessReportSchema),
    problems: [404],
  },
  files: {
    ...session,
    method: 'GET',
    path: `${API}/files`,
    tag: 'Files',
    summary: 'The file sets: direction, last complete run, what is pending, errors by file',
    status: 200,
    reply: named('Files', FilesViewSchema),
  },
  fileDifferences: {
    ...session,
    method: 'GET',
    path: `${API}/files/:fileSet/differences`,
    tag: 'Files',
    summary: 'What differs between the servers in a file set, and since when',
    status: 200,
    reply: named('FileDifferences', FileDifferencesSchema),
    problems: [404],
  },
  confirmDeletion: {
    ...session,
    method: 'POST',
    path: `${API}/files/:fileSet/confirm-deletion`,
    tag: 'Files',
    summary: 'The operator’s word that so many files of a set may go at once; on the standby',
    body: NoInput,
    status: 200,
    reply: named('DeletionConfirmed', ConfirmDeletion.reply),
    problems: [404, 409],
  },
  certificates: {
    ...session,
    method: 'GET',
    path: `${API}/certificates`,
    tag: 'Certificates',
    summary: 'The pinned certificate of the peer',
    status: 200,
    reply: named('Certificates', z.object({ certificates: z.array(CertificateSchema) })),
  },
  hello: {
    ...pair,
    path: `${API}/pair/hello`,
    summary: 'First step of registration, sent by the primary to the secondary',
    body: named('RegistrationHello', RegistrationHelloSchema),
    reply: named('RegistrationChallenge', RegistrationChallengeSchema),
    problems: [409, 422, 429],
  },
  prove: {
    ...pair,
    path: `${API}/pair/prove`,
    summary: 'Second step: both prove the authentication key',
    body: named('RegistrationProof', RegistrationProveCommand.data),
    reply: named('RegistrationAccepted', RegistrationProveCommand.reply),
    problems: [403, 410, 422, 429],
  },
  abandon: {
    ...pair,
    path: `${API}/pair/abandon`,
    summary: 'The primary’s word that a registration is abandoned',
    body: named('RegistrationAbandon', RegistrationAbandonCommand.data),
    reply: named('RegistrationAbandoned', RegistrationAbandonCommand.reply),
    problems: [403, 410, 422, 429],
  },
  health: {
    ...probe,
    path: '/health',
    summary: '200 when this server does what its role asks, else 503',
    query: inputs.HealthInput,
  },
  active: { ...probe, path: '/active', summary: '200 when this server is active, else 503' },
  standby: { ...probe, path: '/standby', summary: '200 when this server stands by, else 503' },
  metrics: {
    ...open,
    method: 'GET',
    path: '/metrics',
    tag: 'Probes',
    summary: 'Metrics for Prometheus',
    status: 200,
    media: 'text/plain; version=0.0.4; charset=utf-8',
  },
} as const satisfies Record<string, Route>;

/** Routes of the contract that answer 501 until the work behind them is there: method, path, and what they are for. */
export const ROUTES_TO_COME: readonly (Pick<Route, 'method' | 'path'> & { readonly what: string })[] = [
  { method: 'PUT', path: `${API}/ha/authentication-key`, what: 'Changing the authentication key' },
  { method: 'GET', path: `${API}/logging`, what: 'Log levels' },
  { method: 'PUT', path: `${API}/logging`, what: 'Log levels' },
  { method: 'GET', path: `${API}/logging/archive`, what: 'The log archive' },
  { method: 'GET', path: `${API}/patches`, what: 'Software update' },
  { method: 'POST', path: `${API}/patches`, what: 'Software update' },
  { method: 'POST', path: `${API}/patches/from-disk`, what: 'Software update' },
  { method: 'GET', path: `${API}/patches/:id`, what: 'Software update' },
  { method: 'POST', path: `${API}/patches/:id/install`, what: 'Software update' },
  ...(['alarms', 'alarm-types', 'notification-channels'] as const).flatMap((name) =>
    (['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).flatMap((method) => [
      { method, path: `${API}/${name}`, what: 'Alarms and notifications' },
      { method, path: `${API}/${name}/*rest`, what: 'Alarms and notifications' },
    ]),
  ),
  { method: 'DELETE', path: `${API}/certificates`, what: 'Forgetting a pinned certificate' },
  { method: 'DELETE', path: `${API}/certificates/:host`, what: 'Forgetting a pinned certificate' },
  ...(['GET', 'POST', 'PATCH', 'DELETE'] as const).map((method) => ({
    method,
    path: '/tmf-api/alarmManagement/v4/*rest',
    what: 'TMF642 Alarm Management',
  })),
];
