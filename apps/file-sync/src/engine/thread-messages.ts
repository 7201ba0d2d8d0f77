import type { FileSetStates, PeerIdentity } from '@understudy/contracts';
import type { Direction } from '../domain/direction.ts';
import type { EngineSettings } from './engine.ts';
import type { OwnSide } from './peer-server.ts';
import type { Incident } from './set-report.ts';

/** What the engine's thread is started with. */
export interface ThreadStart {
  readonly settings: EngineSettings;
}

/** What the service tells the engine's thread. */
export type ToThread =
  | { readonly type: 'direction'; readonly direction: Direction }
  | { readonly type: 'peer'; readonly peer: PeerIdentity | null; readonly own: OwnSide }
  | { readonly type: 'peer-changed'; readonly fileSet: string }
  | { readonly type: 'confirm-deletion'; readonly id: number; readonly fileSet: string }
  | { readonly type: 'differences'; readonly id: number; readonly fileSet: string }
  | {
      readonly type: 'hand-over';
      readonly id: number;
      readonly epoch: number;
      readonly limitMs: number;
      readonly without: readonly string[];
    }
  | { readonly type: 'close' };

/** What the engine's thread tells the service. `answer`: what the engine's method of the asked name returns. */
export type FromThread =
  | { readonly type: 'incident'; readonly incident: Incident }
  | { readonly type: 'changed'; readonly fileSet: string }
  | { readonly type: 'status'; readonly status: FileSetStates }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'closed' };
