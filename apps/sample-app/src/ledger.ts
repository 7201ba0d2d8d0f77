import pg from 'pg';

/** One line of the sample's ledger. */
export interface LedgerRow {
  readonly id: string;
  readonly server: string;
  readonly writtenAt: Date;
}

/** The sample's data: one row per second, each with the name of the server that wrote it. */
export class Ledger {
  private readonly pool: pg.Pool;
  private isPrepared = false;

  constructor(database: pg.PoolConfig) {
    this.pool = new pg.Pool(database);
    // A connection that breaks while idle is replaced by the next query.
    this.pool.on('error', () => {});
  }

  /** Adds a row and returns its number. Rejects when the database does not take it within its deadlines. */
  async append(server: string): Promise<string> {
    await this.prepare();
    const { rows } = await this.pool.query<{ id: string }>(
      'INSERT INTO understudy_sample (server) VALUES ($1) RETURNING id',
      [server],
    );
    return rows[0]?.id ?? '';
  }

  /** The newest rows, newest first, and how many there are. */
  async latest(limit: number): Promise<{ rows: LedgerRow[]; total: number }> {
    await this.prepare();
    const { rows } = await this.pool.query<LedgerRow>(
      'SELECT id, server, written_at AS "writtenAt" FROM understudy_sample ORDER BY id DESC LIMIT $1',
      [limit],
    );
    const count = await this.pool.query<{ total: string }>('SELECT count(*) AS total FROM understudy_sample');
    return { rows, total: Number(count.rows[0]?.total ?? 0) };
  }

  async close(): Promise<void> {
    await this.pool.end();
  }

  private async prepare(): Promise<void> {
    if (this.isPrepared) return;
    await this.pool.query(
      `CREATE TABLE IF NOT EXISTS understudy_sample (
         id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         server text NOT NULL,
         written_at timestamptz NOT NULL DEFAULT now())`,
    );
    this.isPrepared = true;
  }
}
