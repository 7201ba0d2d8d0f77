import type { ProcessView } from '@understudy/contracts';
import type { ProcessesPort } from '@understudy/ha-runtime';

/** The application's processes as the health monitor needs them. */
export interface ApplicationProcesses extends ProcessesPort {
  /** All processes of the configuration, in its order. */
  views(): ProcessView[];
}
