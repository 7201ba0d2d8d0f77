import { absorb, withRecord } from './absorb.ts';
import { actionRefusal, OPERATOR_EVENTS, type OperatorEventType } from './actions.ts';
import { CHANGES, type Change, type ChangeName } from './changes.ts';
import type { Effect, EffectKind } from './effects.ts';
import type { HaEvent } from './events.ts';
import { consentRefusal, GUARDS, type Guard, type GuardName } from './guards.ts';
import { planEffect } from './plan.ts';
import { replacementRefusal } from './replacement.ts';
import { PRIMARY_RULES } from './rules/primary.ts';
import type { Rule } from './rules/rule.ts';
import { SECONDARY_RULES } from './rules/secondary.ts';
import { isServing, type Operation, type Server } from './server.ts';
import { type HaState, type ServerRole, STATES_OF_ROLE } from './states.ts';
import { TIMING } from './timing.ts';

/** What follows from an event. */
export interface Decision {
  /** The server afterwards. Its record must be on disk before anything else of this decision happens. */
  readonly server: Server;
  /** Id of the decision that the outcome of its effects must name; null when nothing was decided. */
  readonly decisionId: string | null;
  /** Effects to perform now, in order, instead of those in flight; null: leave those in flight alone. Empty: abandon them. */
  readonly effects: readonly Effect[] | null;
  /** The row that fired, null when the event only refreshed what is known. */
  readonly rule: Rule | null;
  readonly previousState: HaState;
  /** An operator's or the peer's request was refused: why, with values. */
  readonly refusal: string | null;
  /** An operation ended with this decision. */
  readonly operationEnded: (Operation & { readonly succeeded: boolean; readonly reason: string }) | null;
}

/** The rules of a server, by its home role. */
export const RULES: Readonly<Record<ServerRole, readonly Rule[]>> = {
  primary: PRIMARY_RULES,
  secondary: SECONDARY_RULES,
};

/** What the state machine consists of. The product has one, `TABLES`; the model checker plants faults into copies of it. */
export interface Tables {
  readonly rules: Readonly<Record<ServerRole, readonly Rule[]>>;
  readonly guards: Readonly<Record<GuardName, Guard>>;
  readonly changes: Readonly<Record<ChangeName, Change>>;
}

/** The tables that the product decides by. */
export const TABLES: Tables = { rules: RULES, guards: GUARDS, changes: CHANGES };

/**
 * The state machine: what a server does about an event. Pure and total: every (state, event) pair has an answer.
 * Only facts of this server's own monotonic clock enter, as `event.atMs`.
 */
export function decide(server: Server, event: HaEvent): Decision {
  return decideBy(TABLES, server, event);
}

/** The same by other tables: for the model checker, which must notice when a rule is wrong. */
export function decideBy(tables: Tables, server: Server, event: HaEvent): Decision {
  if (isStale(server, event)) return unchanged(server);
  const known = absorb(server, event);
  if (event.type === 'boot' && event.sameRun) return resume(known, event);
  const booted =
    event.type === 'boot'
      ? withRecord(known, {
          runId: event.runId,
          inFlight: null,
          opened: false,
          promised: forgetClock(known, event.atMs),
          stateSinceMs: event.atMs,
          lastAutomaticFailoverAtMs: null,
        })
      : known;
  const rule = tables.rules[booted.record.role].find((candidate) => matches(tables, candidate, booted, event));
  if (rule === undefined)
    return { ...unchanged(booted), previousState: server.record.state, refusal: refusalOf(booted, event) };
  return apply(tables, rule, booted, event, server.record.state);
}

function matches({ guards }: Tables, rule: Rule, server: Server, event: HaEvent): boolean {
  return (
    rule.from.includes(server.record.state) &&
    rule.on.includes(event.type) &&
    rule.when.every((name) => guards[name](server, event)) &&
    isAllowed(server, event)
  );
}

/** Operator's orders additionally pass the conditions that availableActions shows, so that the two can never disagree. */
function isAllowed(server: Server, event: HaEvent): boolean {
  return !isOperatorEvent(event) || actionRefusal(server, event.type, event.atMs, event) === null;
}

function refusalOf(server: Server, event: HaEvent): string | null {
  if (isOperatorEvent(event))
    return actionRefusal(server, event.type, event.atMs, event) ?? `not possible in ${server.record.state}`;
  if (event.type === 'replacement-begun')
    return replacementRefusal(server, event.isPinnedPrimary) ?? `not possible in ${server.record.state}`;
  if (event.type === 'consent-requested')
    return consentRefusal(server, event) ?? `not possible in ${server.record.state}`;
  if (event.type === 'hand-over-requested' || event.type === 'registration-begun')
    return `not possible in ${server.record.state} at epoch ${server.record.epoch}`;
  return null;
}

function isOperatorEvent(event: HaEvent): event is HaEvent & { type: OperatorEventType } {
  return (OPERATOR_EVENTS as readonly string[]).includes(event.type);
}

/** Outcomes of an older decision are dropped: a late "completed" can never finish a newer takeover. */
function isStale({ record }: Server, event: HaEvent): boolean {
  return (
    (event.type === 'effects-completed' || event.type === 'effect-failed') &&
    event.decisionId !== record.inFlight?.decisionId
  );
}

/** The manager alone was restarted: what was in flight runs again, and a serving server makes sure that it serves. */
function resume(server: Server, event: HaEvent): Decision {
  const { inFlight } = server.record;
  if (inFlight !== null) return { ...unchanged(server), decisionId: inFlight.decisionId, effects: inFlight.effects };
  // what may not serve any longer is not opened again: the next event closes it
  if (!isServing(server.record) || GUARDS.isolated(server, event)) return unchanged(server);
  const numbered = withRecord(server, { decisions: server.record.decisions + 1 });
  return inFlightOf(numbered, ['open-database', 'start-processes'], unchanged(numbered));
}

function apply({ changes }: Tables, rule: Rule, server: Server, event: HaEvent, previousState: HaState): Decision {
  const numbered = withRecord(server, { decisions: server.record.decisions + 1 });
  const changed = (rule.change ?? []).reduce(
    (current, name) => withRecord(current, changes[name](current, event)),
    numbered,
  );
  const to = rule.to ?? changed.record.state;
  const moved =
    to === server.record.state
      ? changed
      : withRecord(changed, { state: to, reason: rule.says, stateSinceMs: event.atMs });
  invariant(STATES_OF_ROLE[moved.record.role].includes(to), `rule ${rule.id} leads to a state of the other role`);
  invariant(moved.record.epoch >= server.record.epoch, `rule ${rule.id} lowers the epoch`);
  const ended = endedOperation(rule, server, event);
  const settled = moved.record.pairId === server.record.pairId ? moved : withUnknownPeer(moved);
  const decision: Decision = {
    server: settled,
    decisionId: null,
    effects: null,
    rule,
    previousState,
    refusal: null,
    operationEnded: ended,
  };
  if (rule.effects !== undefined) return inFlightOf(settled, rule.effects, decision);
  return rule.change?.includes('abandon-effects') ? { ...decision, effects: [] } : decision;
}

/** What was known of a peer is not known of the next one. */
function withUnknownPeer(server: Server): Server {
  return { ...server, link: 'unknown', peer: null, peerPosition: null, peerHeardAtMs: null };
}

/** Puts effects in flight: closing ones end service at once in the record, so that nothing that may be closing counts as open. */
function inFlightOf(server: Server, kinds: readonly EffectKind[], decision: Decision): Decision {
  const decisionId = `${server.record.runId}:${server.record.decisions}:${kinds.join('+')}`;
  const effects = kinds.map((kind) => planEffect(kind, server));
  const closes = kinds.includes('stop-processes') || kinds.includes('stop-database') || kinds.includes('fence');
  const next = withRecord(server, {
    inFlight: { decisionId, effects },
    ...(closes ? { opened: false, finalLsn: null } : {}),
    ...(kinds.includes('stop-database') || kinds.includes('fence') ? { closing: true } : {}),
  });
  const { database } = next;
  const known = closes
    ? { ...next, failedProcess: null, database: database && { ...database, streaming: false } }
    : next;
  return { ...decision, server: known, decisionId, effects };
}

function endedOperation(rule: Rule, { record }: Server, event: HaEvent): Decision['operationEnded'] {
  const succeeded = rule.change?.includes('end-operation') === true;
  if (record.operation === null || !(succeeded || rule.change?.includes('fail-operation'))) return null;
  const detail =
    event.type === 'effect-failed'
      ? `: ${event.message}`
      : event.type === 'operator-cancel'
        ? ': cancelled by an operator'
        : '';
  return { ...record.operation, succeeded, reason: `${rule.says}${detail}` };
}

/** Monotonic times of another boot mean nothing: a promise counts from now. */
function forgetClock({ record }: Server, atMs: number): Server['record']['promised'] {
  return record.promised === null
    ? null
    : { ...record.promised, untilMs: atMs + TIMING.consentLifetimeMs + TIMING.consentMarginMs };
}

function unchanged(server: Server): Decision {
  return {
    server,
    decisionId: null,
    effects: null,
    rule: null,
    previousState: server.record.state,
    refusal: null,
    operationEnded: null,
  };
}

/** An impossible state stops the process before it acts. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}
