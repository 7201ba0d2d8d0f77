/** A libpq keyword/value connection string; values are quoted, so they may hold blanks, quotes and backslashes. */
export function connectionString(parameters: Readonly<Record<string, string | number>>): string {
  return Object.entries(parameters)
    .map(([keyword, value]) => `${keyword}='${String(value).replace(/[\\']/g, (character) => `\\${character}`)}'`)
    .join(' ');
}

/** The replication role, the same on both servers. */
export const REPLICATION_ROLE = 'understudy_replication';

/** Name of the slot kept for a server, and its application_name: slots allow no hyphens, server names no underscores. */
export function slotNameOf(serverName: string): string {
  return `understudy_${serverName.replaceAll('-', '_')}`;
}
