import type { ProcessView } from '@understudy/contracts';
import type { ProcessesPort } from '@understudy/ha-runtime';

/** The application's processes as the health monitor needs them. */
export interface ApplicationProcesses extends ProcessesPort {
  /** All processes of the configuration, in its order. */
  views(): ProcessView[];
  /** The whole server goes down: stops all of them. */
  stopEverything(): Promise<void>;
  /** Only the manager goes: they run on, and its successor finds them. */
  release(): Promise<void>;
}
