/**
 * The client's workload, a process of its own: each attempt opens a connection to the first target that is read-write
 * (in order, one connect timeout per target), writes one row and records when it was acknowledged.
 *
 * usage: writer-process RUN PAUSE_MS HOST:PORT[,HOST:PORT...] [CONNECT_TIMEOUT_MS]; ends on SIGTERM, or when its parent does.
 * Output, one line each, times in milliseconds of the machine's monotonic clock:
 *   a START ACK SEQUENCE HOST   acknowledged
 *   u TIME SEQUENCE HOST ERROR  sent, outcome unknown
 *   e TIME ERROR                not sent or refused; only when the error changes
 */
import { PostgresConnection, PostgresRefusalError, parseTargets } from './postgres-wire.ts';

const ACKNOWLEDGEMENT_TIMEOUT_MS = 1000;

const [run = 'run', pauseMs = '50', targetList = '', connectTimeoutMs = '500'] = process.argv.slice(2);
const targets = parseTargets(targetList);

let stopped = false;
process.on('SIGTERM', () => {
  stopped = true;
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();

function now(): string {
  return (Number(process.hrtime.bigint() / 1000n) / 1000).toFixed(1);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll('\n', ' ').slice(0, 80);
}

/** One attempt over all targets. Returns the error when nothing was sent or the row was refused, otherwise ''. */
async function attempt(sequence: number): Promise<string> {
  const start = now();
  let lastError = '';
  for (const target of targets) {
    let connection: PostgresConnection;
    try {
      connection = await PostgresConnection.open(target, Number(connectTimeoutMs));
    } catch (error) {
      lastError = `${target.host} connect ${textOf(error)}`;
      continue;
    }
    if (!connection.isReadWrite) {
      connection.close();
      lastError = `${target.host} read-only`;
      continue;
    }
    try {
      await connection.query(
        `insert into understudy_e2e(run, sequence) values ('${run}', ${sequence})`,
        ACKNOWLEDGEMENT_TIMEOUT_MS,
      );
      say(`a ${start} ${now()} ${sequence} ${target.host}`);
      return '';
    } catch (error) {
      if (error instanceof PostgresRefusalError) return `${target.host} write ${textOf(error)}`;
      say(`u ${now()} ${sequence} ${target.host} ${textOf(error)}`);
      return '';
    } finally {
      connection.close();
    }
  }
  return lastError;
}

let lastError = '';
for (let sequence = 1; !stopped; sequence++) {
  const error = await attempt(sequence);
  if (error !== '' && error !== lastError) say(`e ${now()} ${error}`);
  lastError = error;
  await new Promise((resolve) => setTimeout(resolve, Number(pauseMs)));
}
process.exit(0);
