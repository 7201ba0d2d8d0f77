/** The role by which the servers replicate from one another, the same on both. */
export const REPLICATION_ROLE = 'understudy_replication';

/** Name of the physical slot that each server keeps for the other. */
export const PEER_SLOT = 'understudy_peer';

/** A libpq keyword/value connection string; values are quoted, so they may hold blanks, quotes and backslashes. */
export function connectionString(parameters: Readonly<Record<string, string | number>>): string {
  return Object.entries(parameters)
    .map(([keyword, value]) => `${keyword}='${String(value).replace(/[\\']/g, (character) => `\\${character}`)}'`)
    .join(' ');
}
