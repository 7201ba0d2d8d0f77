/** Steps of a decision and tasks of the database, as an operator calls them. */
const WORDS: Readonly<Record<string, string>> = {
  'open-database': 'opening the database',
  'promote-database': 'promoting the database',
  'stop-database': 'stopping the database',
  'follow-peer': 'following the other server',
  'start-processes': 'starting the application',
  'stop-processes': 'stopping the application',
  'await-data': 'waiting for the last data',
  'request-consent': 'asking the other server for its consent',
  'acquire-lease': 'asking the witness for its lease',
  fence: 'closing at once',
  'request-hand-over': 'asking the other server to hand over',
  'register-with-peer': 'registering with the other server',
  'announce-dissolution': 'telling the other server',
  'retire-pairing': 'cleaning up what belonged to the pair',
  'prepare-source': 'preparing the database for a standby',
  'start-active': 'starting the database',
  promote: 'promoting the database',
  stop: 'stopping the database',
};

/** A step in words, such as `following the other server: full copy`; what is said twice is said once. */
export function stepText(step: string): string {
  const parts = step.split(': ').map((part) => WORDS[part] ?? part);
  return parts.filter((part, index) => part !== parts[index - 1]).join(': ');
}
