/**
 * Turns hints ("the peer's status has changed") into extra beats: at most one under way, and a hint that comes meanwhile is not
 * lost: one more beat follows, because the one under way may have been answered before the change.
 */
export interface HintState {
  readonly underWay: boolean;
  readonly again: boolean;
}

/** No hint yet. */
export const NO_HINTS: HintState = { underWay: false, again: false };

/** A hint came; `beat` says whether to beat now. */
export function onHint(state: HintState): { readonly state: HintState; readonly beat: boolean } {
  return state.underWay
    ? { state: { underWay: true, again: true }, beat: false }
    : { state: { underWay: true, again: false }, beat: true };
}

/** The extra beat has been answered or has failed; `beat` says whether another one is due. */
export function onExtraBeatDone(state: HintState): { readonly state: HintState; readonly beat: boolean } {
  return state.again ? { state: { underWay: true, again: false }, beat: true } : { state: NO_HINTS, beat: false };
}
