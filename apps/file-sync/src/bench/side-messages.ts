import type { FileSetState, PeerIdentity } from '@understudy/contracts';
import type { Direction } from '../domain/direction.ts';
import type { EngineSettings } from '../engine/engine.ts';

/** What the benchmark tells the process of one server. `id`: the answer bears it too. */
export type ToSide = { readonly id: number } & (
  | { readonly type: 'open'; readonly settings: EngineSettings }
  | { readonly type: 'peer'; readonly peer: PeerIdentity }
  | { readonly type: 'direction'; readonly direction: Direction }
  | { readonly type: 'peer-changed' }
  | { readonly type: 'status' }
  /** Fetches with a look at everything on both servers; answered when that is done. */
  | { readonly type: 'fetch' }
  | { readonly type: 'close' }
);

/** The answer to each message: how the set is, and what the process has used. */
export interface SideAnswer {
  readonly type: 'answer';
  readonly id: number;
  readonly view: FileSetState | null;
  /** Processor time of the process since its start, all threads, and of programs that it has run. */
  readonly cpuSeconds: number;
  /** Most memory that was resident at once. */
  readonly peakMib: number;
  /** Resident now. */
  readonly residentMib: number;
}

/** What the process of one server says; `changed` is for the peer. */
export type FromSide = SideAnswer | { readonly type: 'changed' } | { readonly type: 'incident'; readonly text: string };
