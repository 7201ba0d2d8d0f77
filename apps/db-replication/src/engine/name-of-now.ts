/** The time as part of a file's name, e.g. `2026-11-25T04-10-03-256Z`. */
export function nameOfNow(): string {
  return new Date().toISOString().replaceAll(/[:.]/g, '-');
}
