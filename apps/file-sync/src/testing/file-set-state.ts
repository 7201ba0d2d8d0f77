import type { FileSetState } from '@understudy/contracts';
import { SetReport } from '../engine/set-report.ts';

/** A set of an active server of which nothing has been said yet, but for what is told. */
export function fileSetState(told: Partial<FileSetState> = {}): FileSetState {
  const { view } = new SetReport('settings', () => undefined);
  const own = {
    name: 'settings',
    path: '/etc/nms',
    class: 'realtime',
    direction: 'sends',
    files: 3,
    bytes: 30,
  } as const;
  return { ...own, ...view, ...told };
}
