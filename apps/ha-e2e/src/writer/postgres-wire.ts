import { connect, type Socket } from 'node:net';

/** A refusal by the server, with its SQLSTATE first. Anything else that goes wrong on the wire is a plain Error. */
export class PostgresRefusalError extends Error {}

/** What to connect to. Authentication is `trust`: the stage's own access rules say so. */
export interface PostgresTarget {
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  readonly database?: string;
}

/** `HOST:PORT[,HOST:PORT...]`, as the scripts that write get them. */
export function parseTargets(list: string): PostgresTarget[] {
  return list.split(',').map((target) => {
    const end = target.lastIndexOf(':'); // an IPv6 address has some of its own
    return { host: target.slice(0, end), port: Number(target.slice(end + 1)) };
  });
}

type Row = (string | null)[];

/**
 * A PostgreSQL connection small enough to see every deadline in it: simple queries only, text results only,
 * and timeouts below the two seconds that libpq allows.
 */
export class PostgresConnection {
  private readonly socket: Socket;
  private buffer = Buffer.alloc(0);
  private readonly parameters = new Map<string, string>();
  private wake: (() => void) | undefined;
  private failure: Error | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.buffer = Buffer.concat([this.buffer, chunk]);
      this.wake?.();
    });
    const fail = (error: Error) => {
      this.failure ??= error;
      this.wake?.();
    };
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('connection closed by the server')));
  }

  /** Opens a connection and waits until it is ready for queries, all within `timeoutMs`. */
  static async open(target: PostgresTarget, timeoutMs: number): Promise<PostgresConnection> {
    const connection = new PostgresConnection(connect({ host: target.host, port: target.port }));
    try {
      await connection.startUp(target, performance.now() + timeoutMs);
      return connection;
    } catch (error) {
      connection.socket.destroy();
      throw error;
    }
  }

  /** libpq's test for `target_session_attrs=read-write`, from what the server reported at the start. */
  get isReadWrite(): boolean {
    const off = (name: string) => (this.parameters.get(name) ?? 'off') === 'off';
    return off('in_hot_standby') && off('default_transaction_read_only');
  }

  /** Sends a simple query and returns its rows. PostgresRefusalError when the server refuses, Error when it does not answer. */
  async query(sql: string, timeoutMs: number): Promise<Row[]> {
    const end = performance.now() + timeoutMs;
    const rows: Row[] = [];
    let refusal: string | undefined;
    this.socket.write(message('Q', cString(sql)));
    for (;;) {
      const { type, body } = await this.next(end);
      if (type === 'D') rows.push(parseRow(body));
      else if (type === 'E') refusal = parseRefusal(body);
      else if (type === 'Z') break;
    }
    if (refusal !== undefined) throw new PostgresRefusalError(refusal);
    return rows;
  }

  /** Says good-bye and lets go. */
  close(): void {
    this.socket.end(message('X', Buffer.alloc(0)));
    this.socket.destroySoon();
    setTimeout(() => this.socket.destroy(), 200).unref();
  }

  private async startUp(target: PostgresTarget, end: number): Promise<void> {
    const user = target.user ?? 'postgres';
    const pairs = ['user', user, 'database', target.database ?? 'postgres', 'application_name', 'understudy-e2e'];
    const body = Buffer.concat([Buffer.from([0, 3, 0, 0]), ...pairs.map(cString), Buffer.from([0])]);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length + 4);
    this.socket.write(Buffer.concat([head, body]));
    for (;;) {
      const { type, body } = await this.next(end);
      if (type === 'E') throw new PostgresRefusalError(parseRefusal(body));
      if (type === 'R' && body.readUInt32BE(0) !== 0) throw new Error('the server wants a password');
      if (type === 'S') {
        const [name = '', value = ''] = body.toString('utf8').split('\0');
        this.parameters.set(name, value);
      }
      if (type === 'Z') return;
    }
  }

  private async next(end: number): Promise<{ type: string; body: Buffer }> {
    for (;;) {
      if (this.buffer.length >= 5) {
        const length = this.buffer.readUInt32BE(1);
        if (this.buffer.length >= length + 1) {
          const type = String.fromCharCode(this.buffer[0] ?? 0);
          const body = this.buffer.subarray(5, length + 1);
          this.buffer = this.buffer.subarray(length + 1);
          return { type, body };
        }
      }
      if (this.failure) throw this.failure;
      const left = end - performance.now();
      if (left <= 0) throw new Error('timed out');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = undefined;
    }
  }
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function parseRow(body: Buffer): Row {
  const row: Row = [];
  let offset = 2;
  for (let column = 0; column < body.readUInt16BE(0); column++) {
    const length = body.readInt32BE(offset);
    offset += 4;
    row.push(length < 0 ? null : body.toString('utf8', offset, offset + length));
    offset += Math.max(length, 0);
  }
  return row;
}

function parseRefusal(body: Buffer): string {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field[0], field.slice(1)] as const),
  );
  return `${fields.get('C') ?? '?'} ${fields.get('M') ?? '?'}`;
}
