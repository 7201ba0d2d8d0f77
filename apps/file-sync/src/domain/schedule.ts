import type { FileSetConfiguration } from '@understudy/platform';

/**
 * Seconds between two runs of a set of each class: upper bounds, because a change is announced at once. Spec: "How High Availability
 * Works".
 */
export const INTERVAL_SECONDS: Readonly<Record<FileSetConfiguration['class'], number>> = { realtime: 11, batch: 500 };
