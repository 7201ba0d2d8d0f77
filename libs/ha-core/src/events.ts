import type { ConsentRequest, EffectKind, EffectResults } from './effects.ts';
import type { DatabaseView, PeerView, WitnessView } from './server.ts';
import type { FailoverType } from './states.ts';

/** Something that happened. `atMs` is this server's monotonic time in milliseconds. */
export type HaEvent = {
  readonly atMs: number;
} /** The manager started; `sameRun`: only the manager, the server itself ran on. */ & (
  | { readonly type: 'boot'; readonly runId: string; readonly sameRun: boolean }
  | { readonly type: 'tick'; readonly unixMs: number }
  /** `sentAtMs`: when the beat was sent that the peer has answered with its status; absent: unknown. */
  | { readonly type: 'peer-heard'; readonly status: PeerView; readonly sentAtMs?: number }
  /** A beat of the peer is about to be answered with this server's status. */
  | { readonly type: 'beat-answered' }
  | { readonly type: 'witness-observed'; readonly witness: WitnessView }
  | { readonly type: 'lease-answered'; readonly nonce: string; readonly granted: boolean }
  | { readonly type: 'peer-lost' }
  | { readonly type: 'peer-confirmed-lost' }
  | { readonly type: 'peer-answered-probe' }
  | { readonly type: 'database-observed'; readonly database: DatabaseView }
  | { readonly type: 'process-failed'; readonly process: string }
  | { readonly type: 'process-recovered' }
  | {
      readonly type: 'operator-register';
      readonly operationId: string;
      readonly pairId: string;
      readonly failoverType: FailoverType;
      /** This server takes the place of the active secondary's lost primary: what it has is replaced by the secondary's database. */
      readonly replacesPrimary?: boolean;
      /** The operator has confirmed that. */
      readonly confirmed?: boolean;
    }
  | { readonly type: 'operator-failover'; readonly operationId: string; readonly acceptDataLoss: boolean }
  | { readonly type: 'operator-forced-failover'; readonly operationId: string }
  | {
      readonly type: 'operator-failback';
      readonly operationId: string;
      readonly force: boolean;
      readonly acceptDataLoss: boolean;
    }
  | { readonly type: 'operator-activate-alone'; readonly operationId: string; readonly acceptDataLoss: boolean }
  | {
      readonly type: 'operator-remove';
      readonly operationId: string;
      /** The operator has confirmed that the lost peer will not serve. */
      readonly confirmed: boolean;
      readonly acceptDataLoss: boolean;
    }
  | {
      readonly type: 'operator-maintenance';
      readonly minutes: number;
      readonly reason: string;
      readonly unixMs: number;
    }
  | { readonly type: 'operator-maintenance-end' }
  | { readonly type: 'operator-cancel' }
  | { readonly type: 'operator-failover-type'; readonly failoverType: FailoverType }
  | {
      readonly type: 'registration-begun';
      readonly operationId: string;
      readonly pairId: string;
      readonly failoverType: FailoverType;
    }
  | { readonly type: 'registration-abandoned' }
  | {
      readonly type: 'replacement-begun';
      readonly pairId: string;
      readonly failoverType: FailoverType;
      /** It is the pinned primary itself that asks: it has nothing of the pair any more. */
      readonly isPinnedPrimary: boolean;
    }
  /** `replaced`: because another server has taken the place of this one. */
  | { readonly type: 'pair-dissolved'; readonly pairId: string; readonly replaced?: boolean }
  | { readonly type: 'hand-over-requested'; readonly operationId: string }
  | ({ readonly type: 'consent-requested' } & ConsentRequest)
  /** `reason`: the peer's sentence when it refuses. */
  | { readonly type: 'consent-answered'; readonly nonce: string; readonly granted: boolean; readonly reason?: string }
  | { readonly type: 'effects-completed'; readonly decisionId: string; readonly results: EffectResults }
  | {
      readonly type: 'effect-failed';
      readonly decisionId: string;
      readonly effect: EffectKind;
      readonly code: string;
      readonly message: string;
    }
);

/** Name of an event. */
export type HaEventType = HaEvent['type'];

/** All event names. */
export const HA_EVENT_TYPES = [
  'boot',
  'tick',
  'peer-heard',
  'beat-answered',
  'witness-observed',
  'lease-answered',
  'peer-lost',
  'peer-confirmed-lost',
  'peer-answered-probe',
  'database-observed',
  'process-failed',
  'process-recovered',
  'operator-register',
  'operator-failover',
  'operator-forced-failover',
  'operator-failback',
  'operator-activate-alone',
  'operator-remove',
  'operator-maintenance',
  'operator-maintenance-end',
  'operator-cancel',
  'operator-failover-type',
  'registration-begun',
  'registration-abandoned',
  'replacement-begun',
  'pair-dissolved',
  'hand-over-requested',
  'consent-requested',
  'consent-answered',
  'effects-completed',
  'effect-failed',
] as const satisfies readonly HaEventType[];

/** Events that only refresh what is known; rows that wait for a condition listen to all of them. */
export const FACTS = [
  'peer-heard',
  'database-observed',
  'tick',
  'effects-completed',
] as const satisfies readonly HaEventType[];
