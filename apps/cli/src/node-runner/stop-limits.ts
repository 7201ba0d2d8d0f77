/** PostgreSQL's own shutdown may take 85 s, that of the application 60 s after a hand-over of 20 s. */
export const SHUTDOWN_LIMIT_MS = 110_000;
/** Everything else just ends. */
export const STOP_LIMIT_MS = 10_000;
