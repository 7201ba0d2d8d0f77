/**
 * Tries to write one row after another to the first of its targets that is read-write, all the time, and records what was
 * acknowledged and under which timeline. With one target it keeps its connection, as long as that works: a server that can be written
 * to by anybody must not go unnoticed. With several it opens a new one for each row, as the client of the benchmark does.
 *
 * usage: observer-process RUN PAUSE_MS HOST:PORT[,HOST:PORT...]; ends on SIGTERM, or when its parent does.
 * Output, one line each, times in milliseconds of the machine's monotonic clock:
 *   a START ACK SEQUENCE HOST TIMELINE TRANSACTION   acknowledged; START: before the row was sent
 *   u TIME SEQUENCE HOST                             sent, outcome unknown
 */
import { monotonicMs, pause } from '../real-pair/deadline.ts';
import { PostgresConnection, PostgresRefusalError, parseTargets } from '../writer/postgres-wire.ts';

const CONNECT_TIMEOUT_MS = 500;
const ACKNOWLEDGEMENT_TIMEOUT_MS = 1000;

const [run = 'run', pauseMs = '100', targetList = ''] = process.argv.slice(2);
const targets = parseTargets(targetList);

let stopped = false;
process.on('SIGTERM', () => {
  stopped = true;
});
process.on('SIGINT', () => {}); // the terminal sends it to everybody; the parent says when to end
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();

let kept: { readonly host: string; readonly connection: PostgresConnection } | undefined;

/** The connection that wrote last, or a new one to the first target that is read-write. */
async function writable() {
  if (kept) return kept;
  for (const target of targets) {
    const connection = await PostgresConnection.open(target, CONNECT_TIMEOUT_MS).catch(() => undefined);
    if (connection?.isReadWrite) return { host: target.host, connection };
    connection?.close();
  }
  return undefined;
}

/** The row, and in the same statement what its commit will be known by in the log of changes. */
function statement(sequence: number): string {
  return `insert into understudy_chaos(run, sequence) values ('${run}', ${sequence})
    returning substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), pg_current_xact_id()`;
}

async function attempt(sequence: number): Promise<void> {
  const found = await writable();
  if (!found) return;
  const { host, connection } = found;
  const startMs = monotonicMs();
  try {
    const [[timeline, transaction] = []] = await connection.query(statement(sequence), ACKNOWLEDGEMENT_TIMEOUT_MS);
    const times = `${startMs.toFixed(1)} ${monotonicMs().toFixed(1)}`;
    process.stdout.write(`a ${times} ${sequence} ${host} ${Number.parseInt(timeline ?? '0', 16)} ${transaction}\n`);
    if (targets.length === 1) kept = found;
    else connection.close();
  } catch (error) {
    connection.close();
    kept = undefined;
    if (!(error instanceof PostgresRefusalError))
      process.stdout.write(`u ${monotonicMs().toFixed(1)} ${sequence} ${host}\n`);
  }
}

for (let sequence = 1; !stopped; sequence++) {
  await attempt(sequence);
  await pause(Number(pauseMs));
}
process.exit(0);
