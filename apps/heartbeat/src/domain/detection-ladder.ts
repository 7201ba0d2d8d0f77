/**
 * The ladder by which a silent peer becomes a lost one. Spec: 3 missed heartbeats, wait, then open the peer's Health Monitor URL.
 *
 * `listening` -> silent for `missedLimit` intervals -> `lost` -> after the grace time the URL is opened -> `answered` or `confirmed`.
 * A sign of life leads back to the first rung from everywhere. Time passes only in events (`atMs`, own monotonic clock).
 */

/** The ladder's times, all in milliseconds but the count. */
export interface LadderTimes {
  readonly intervalMs: number;
  /** So many intervals of silence mean lost. */
  readonly missedLimit: number;
  /** From lost to the opening of the URL. */
  readonly graceMs: number;
  /** The URL has not answered for so long: it does not answer. */
  readonly probeTimeoutMs: number;
}

/** What the URL said last in this silence. */
export interface ProbeVerdict {
  readonly answered: boolean;
  /** One phrase for people, e.g. "connection refused". */
  readonly detail: string;
}

/** Where the ladder stands. */
export interface LadderState {
  readonly watching: boolean;
  readonly busConnected: boolean;
  /** Last sign of life, or when silence began to count. */
  readonly silentSinceMs: number;
  /** Last time this process is known to have run. */
  readonly lastTickMs: number;
  /** When the facts were stated last in this silence; null: never. */
  readonly statedAtMs: number | null;
  readonly verdict: ProbeVerdict | null;
  /** The URL is being opened. */
  readonly openProbe: { readonly id: number; readonly startedAtMs: number } | null;
  /** When the last attempt to open the URL began; null: none in this silence. */
  readonly probedAtMs: number | null;
  /** Ids of attempts are never used twice, so a late outcome of an earlier silence is recognised. */
  readonly nextProbeId: number;
}

/** What can happen to the ladder. A tick must come at least every interval: a longer gap means that we did not run. */
export type LadderEvent =
  | { readonly type: 'watch'; readonly atMs: number }
  | { readonly type: 'unwatch'; readonly atMs: number }
  | { readonly type: 'heard'; readonly atMs: number }
  | { readonly type: 'bus-lost'; readonly atMs: number }
  | { readonly type: 'bus-restored'; readonly atMs: number }
  | { readonly type: 'tick'; readonly atMs: number }
  | { readonly type: 'probe-finished'; readonly atMs: number; readonly id: number; readonly verdict: ProbeVerdict };

/** What follows: facts to publish, in order, and the one deed (`open-probe`). */
export type LadderOutput =
  | { readonly type: 'peer-lost'; readonly silentMs: number }
  | { readonly type: 'peer-confirmed-lost'; readonly silentMs: number; readonly probe: string }
  | { readonly type: 'peer-answered-probe'; readonly silentMs: number }
  | { readonly type: 'open-probe'; readonly id: number };

/** One step of the ladder. */
export interface LadderStep {
  readonly state: LadderState;
  readonly outputs: readonly LadderOutput[];
}

/** The ladder before anybody is watched. */
export const INITIAL_LADDER: LadderState = {
  watching: false,
  busConnected: true,
  silentSinceMs: 0,
  lastTickMs: 0,
  statedAtMs: null,
  verdict: null,
  openProbe: null,
  probedAtMs: null,
  nextProbeId: 1,
};

/** A gap between two ticks longer than this many intervals: our own process was stopped, the silence proves nothing. */
const STALL_INTERVALS = 2;

/** The next state and what is to be told or done. Pure and total. */
export function climb(state: LadderState, event: LadderEvent, times: LadderTimes): LadderStep {
  const { atMs } = event;
  switch (event.type) {
    case 'watch':
      return quiet({ ...fresh(state, atMs), watching: true });
    case 'unwatch':
      return quiet({ ...fresh(state, atMs), watching: false });
    case 'heard':
      // The tick time stays: hearing is no proof that our timers ran.
      return quiet({ ...fresh(state, atMs), lastTickMs: state.lastTickMs });
    case 'bus-lost':
      return quiet({ ...fresh(state, atMs), busConnected: false });
    case 'bus-restored':
      return quiet({ ...fresh(state, atMs), busConnected: true });
    case 'tick':
      return tick(state, atMs, times);
    case 'probe-finished':
      if (state.openProbe?.id !== event.id) return quiet(state);
      return conclude(state, atMs, event.verdict);
  }
}

/**
 * When the next tick has something to say, in the clock of the events; null while nobody is watched or our own bus is down.
 * The caller ticks then, and at least every interval.
 */
export function nextRungAtMs(state: LadderState, times: LadderTimes): number | null {
  if (!state.watching || !state.busConnected) return null;
  const lostAtMs = lostAt(state, times);
  if (state.statedAtMs === null) return lostAtMs;
  const probeAtMs = state.openProbe ? state.openProbe.startedAtMs + times.probeTimeoutMs : nextProbeAt(state, times);
  return Math.min(state.statedAtMs + times.intervalMs, probeAtMs);
}

function tick(before: LadderState, atMs: number, times: LadderTimes): LadderStep {
  const gapMs = atMs - before.lastTickMs;
  let state: LadderState = { ...before, lastTickMs: Math.max(before.lastTickMs, atMs) };
  if (!state.watching || !state.busConnected) return quiet(state);
  if (gapMs > STALL_INTERVALS * times.intervalMs) return quiet(fresh(state, atMs));
  if (atMs < lostAt(state, times)) return quiet(state);

  const outputs: LadderOutput[] = [];
  if (state.statedAtMs === null || atMs >= state.statedAtMs + times.intervalMs) {
    outputs.push({ type: 'peer-lost', silentMs: silence(state, atMs) });
    if (state.verdict) outputs.push(verdictFact(state, state.verdict, atMs));
    state = { ...state, statedAtMs: atMs };
  }
  if (state.openProbe && atMs >= state.openProbe.startedAtMs + times.probeTimeoutMs) {
    const step = conclude(state, atMs, { answered: false, detail: `no answer within ${times.probeTimeoutMs} ms` });
    state = step.state;
    outputs.push(...step.outputs);
  }
  if (!state.openProbe && atMs >= nextProbeAt(state, times)) {
    const id = state.nextProbeId;
    outputs.push({ type: 'open-probe', id });
    state = { ...state, openProbe: { id, startedAtMs: atMs }, probedAtMs: atMs, nextProbeId: id + 1 };
  }
  return { state, outputs };
}

function conclude(before: LadderState, atMs: number, verdict: ProbeVerdict): LadderStep {
  const state = { ...before, openProbe: null, verdict };
  return { state, outputs: [verdictFact(state, verdict, atMs)] };
}

function verdictFact(state: LadderState, verdict: ProbeVerdict, atMs: number): LadderOutput {
  const silentMs = silence(state, atMs);
  return verdict.answered
    ? { type: 'peer-answered-probe', silentMs }
    : { type: 'peer-confirmed-lost', silentMs, probe: verdict.detail };
}

/** Silence counts from now; what was found out about the former silence is void. */
function fresh(state: LadderState, atMs: number): LadderState {
  return {
    ...state,
    silentSinceMs: atMs,
    lastTickMs: atMs,
    statedAtMs: null,
    verdict: null,
    openProbe: null,
    probedAtMs: null,
  };
}

const lostAt = (state: LadderState, times: LadderTimes) => state.silentSinceMs + times.missedLimit * times.intervalMs;

const nextProbeAt = (state: LadderState, times: LadderTimes) =>
  state.probedAtMs === null ? lostAt(state, times) + times.graceMs : state.probedAtMs + times.intervalMs;

const silence = (state: LadderState, atMs: number) => Math.max(0, Math.round(atMs - state.silentSinceMs));

const quiet = (state: LadderState): LadderStep => ({ state, outputs: [] });
