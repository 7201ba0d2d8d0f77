import type {
  DatabaseFacts,
  FilesView,
  OperatorAction,
  ProcessView,
  ServerStatus,
  StatusView,
} from '@understudy/contracts';
import {
  actionRefusal,
  automaticFailover,
  configurationMode,
  exposure,
  grantsToPeer,
  HA_STATE_LABELS,
  type HaEvent,
  isServing,
  isSynchronous,
  type OperatorEventType,
  type PeerView,
  protectionOf,
  type Server,
  toldOfRecord,
} from '@understudy/ha-core';
import type { EffectProgress } from '@understudy/ha-runtime';
import { fileSyncView } from './file-sync-view.ts';
import { stepText } from './step-text.ts';

/** What the views are made of besides the state machine. */
export interface ViewContext {
  readonly node: { readonly name: string; readonly address: string; readonly version: string };
  readonly peer: { readonly name: string; readonly address: string } | null;
  readonly facts: DatabaseFacts | null;
  /** Null: file-sync has not said anything for a while, or there are no file sets. */
  readonly files: FilesView | null;
  readonly processes: readonly ProcessView[];
  readonly roundTripMs: number | null;
  readonly virtualIp: StatusView['virtualIp'];
  readonly progress: EffectProgress | null;
  /** This server is being stopped on purpose. */
  readonly stopping: boolean;
  /** Its last decision of a switch that is under way. */
  readonly trace: string | undefined;
  /** So long the journal has not answered; null: it answers. */
  readonly journalSilentMs: number | null;
  readonly nowMs: number;
  readonly unixMs: number;
}

const ACTIONS: Readonly<Record<OperatorAction, OperatorEventType>> = {
  register: 'operator-register',
  failover: 'operator-failover',
  'forced-failover': 'operator-forced-failover',
  failback: 'operator-failback',
  'forced-failback': 'operator-failback',
  'activate-alone': 'operator-activate-alone',
  remove: 'operator-remove',
  maintenance: 'operator-maintenance',
  'end-maintenance': 'operator-maintenance-end',
  cancel: 'operator-cancel',
  'change-configuration': 'operator-failover-type',
};

/** The forced failback is listed with what an operator can acknowledge acknowledged. */
const FORCED_FAILBACK = {
  type: 'operator-failback',
  operationId: '',
  force: true,
  acceptDataLoss: true,
  atMs: 0,
} as const;

/** What this server tells its peer in the answer to a beat. */
export function ownStatus(server: Server, { node, facts, processes, stopping, trace }: ViewContext): ServerStatus {
  const { record } = server;
  return {
    ...toldOfRecord(record),
    name: node.name,
    // not what was seen before this server was closed at once
    lsn: server.database?.lsn == null ? null : (facts?.lsn ?? null),
    timeline: facts?.timeline ?? null,
    lagBytes: facts?.lagBytes ?? null,
    streaming: facts?.streaming ?? false,
    databaseUsable: facts?.usable ?? false,
    processesOk: processesOk(server, processes),
    stopping,
    grants: grantsToPeer(server),
    version: node.version,
    ...(trace === undefined ? {} : { trace }),
  };
}

/** Whether every process that must run here now runs. */
function processesOk({ record, failedProcess }: Server, processes: readonly ProcessView[]): boolean {
  return (
    failedProcess === null &&
    (!isServing(record) ||
      processes.every(({ critical, state }) => !critical || ['running', 'disabled'].includes(state)))
  );
}

/** What the state machine keeps of the peer's status. */
export function peerView(status: ServerStatus): PeerView {
  const {
    name: _name,
    timeline: _timeline,
    version: _version,
    trace: _trace,
    lagBytes = null,
    stopping = false,
    grants = true,
    doubted = false,
    protection = { epoch: status.hold, change: 0, inForce: false },
    ...view
  } = status;
  return { ...view, lagBytes, stopping, grants, doubted, protection };
}

/** Body of GET /api/v1/ha/status. */
export function statusView(server: Server, context: ViewContext): StatusView {
  const { record, link, peer } = server;
  const { facts, progress, journalSilentMs, nowMs, unixMs } = context;
  const iso = (atMs: number) => new Date(unixMs - Math.max(0, nowMs - atMs)).toISOString();
  const refusals = Object.entries(ACTIONS).map(([action, event]) => ({
    action,
    reason: actionRefusal(server, event, nowMs, action === 'forced-failback' ? FORCED_FAILBACK : undefined),
  }));
  const serving = isServing(record);
  return {
    node: {
      name: context.node.name,
      address: context.node.address,
      homeRole: record.role,
      version: context.node.version,
    },
    state: HA_STATE_LABELS[record.state],
    stateReason: reasonOf(server, journalSilentMs),
    currentRole: serving ? 'active' : facts?.role === 'standby' ? 'standby' : 'none',
    configurationMode: configurationMode(record, link === 'up' ? (peer?.state ?? null) : null),
    failoverType: record.failoverType,
    epoch: record.epoch,
    since: iso(record.stateSinceMs),
    peer: context.peer && {
      ...context.peer,
      state: peer ? HA_STATE_LABELS[peer.state] : null,
      reachable: link === 'up',
      lastHeartbeatAt: server.peerHeardAtMs === null ? null : iso(server.peerHeardAtMs),
      roundTripMs: link === 'up' ? context.roundTripMs : null,
    },
    virtualIp: context.virtualIp,
    database: {
      role: facts?.role ?? 'unknown',
      timeline: facts?.timeline ?? null,
      lsn: facts?.lsn ?? null,
      lagBytes: facts?.lagBytes ?? null,
      lagSeconds: facts?.lagSeconds ?? null,
      replication: server.settings.replication,
      protected: isProtected(server, context),
      exposed: record.pairId !== null && isSynchronous(server) && !isProtected(server, context),
      retentionRemainingSeconds: facts?.retentionRemainingSeconds ?? null,
      running: facts?.running ?? false,
      usable: facts?.usable ?? false,
      streaming: facts?.streaming ?? false,
    },
    fileSync: fileSyncView(context.files),
    processes: [...context.processes],
    availableActions: refusals.filter(({ reason }) => reason === null).map(({ action }) => action),
    unavailableActions: refusals.flatMap(({ action, reason }) => (reason === null ? [] : [{ action, reason }])),
    automaticFailover: automaticFailover(server, nowMs),
    maintenance: maintenanceView(server, context),
    witness: witnessView(server, nowMs),
    record: { lost: record.doubt, silentSeconds: journalSilentMs === null ? null : Math.round(journalSilentMs / 1000) },
    activity: progress && { step: stepText(progress.step), progressPercent: progress.percent },
    operation: record.operation && {
      id: record.operation.id,
      kind: record.operation.kind,
      step: progress ? stepText(progress.step) : 'waiting',
      progressPercent: progress?.percent ?? null,
    },
  };
}

/** Why the server is in its state, and what it cannot know or keep. */
function reasonOf({ record, link }: Server, journalSilentMs: number | null): string {
  const { doubt } = record;
  // what it knew when it came into the state may be long past
  const isCutOff = record.state === 'primary-alone' && (link === 'lost' || link === 'confirmed-lost');
  const reason = isCutOff
    ? `${record.reason}; the secondary cannot be reached and may serve: waiting for it, or for ha activate-alone`
    : record.reason;
  if (journalSilentMs !== null)
    return `${reason}; the journal of decisions has not answered for ${Math.round(journalSilentMs / 1000)} s: nothing can be decided`;
  return doubt === null ? reason : `${reason} (record lost: ${doubt})`;
}

/**
 * Active: the other server has everything that was acknowledged; without synchronous replication: it follows. Standby: with synchronous
 * replication, that it has everything is known here.
 */
function isProtected(server: Server, { facts, nowMs }: ViewContext): boolean {
  const { record } = server;
  if (!isSynchronous(server)) return isServing(record) && facts?.streaming === true;
  if (record.hold === 0) return record.complete && exposure(server, nowMs) === null;
  return isServing(record) && protectionOf(record).phase === 'in-force';
}

/** The planned work that is under way. */
export function maintenanceView({ record }: Server, { nowMs, unixMs }: Pick<ViewContext, 'nowMs' | 'unixMs'>) {
  const { maintenance } = record;
  if (maintenance === null) return null;
  const { minutes, reason, runId, untilMs, untilUnixMs } = maintenance;
  const endsUnixMs = runId === record.runId ? unixMs + (untilMs - nowMs) : untilUnixMs;
  return { until: new Date(endsUnixMs).toISOString(), minutes, reason };
}

/** The third vote, as this server sees it. */
function witnessView({ settings, witness, record }: Server, nowMs: number): StatusView['witness'] {
  if (settings.witness === null) return null;
  const isOwn = witness?.holder?.role === record.role;
  const leaseUntilMs = (isOwn && witness?.leaseUntilMs) || null;
  return {
    kind: settings.witness.kind,
    reachable: witness?.reachable ?? false,
    holder: witness?.holder ?? null,
    leaseRemainingSeconds: leaseUntilMs === null ? null : Math.max(0, Math.round((leaseUntilMs - nowMs) / 100) / 10),
  };
}

/** Why an order is refused, as code and sentence; null when it would be taken. */
export function refusalOf(
  server: Server,
  event: HaEvent & { type: OperatorEventType },
): { code: string; message: string } | null {
  const reason = actionRefusal(server, event.type, event.atMs, event);
  if (reason === null) return null;
  const code = reason.endsWith('repeat with acceptDataLoss to go on')
    ? 'data-loss-not-accepted'
    : reason.startsWith('only possible on')
      ? 'wrong-server'
      : reason.startsWith('the operation ')
        ? 'operation-running'
        : 'not-allowed';
  return { code, message: reason };
}
