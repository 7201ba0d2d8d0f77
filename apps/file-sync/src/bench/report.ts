import { cpus, loadavg, totalmem } from 'node:os';

/** One line of the table. Numbers in the row's unit. */
export interface Row {
  readonly what: string;
  readonly unit: 's' | 'CPU s' | 'MiB' | 'ms';
  readonly own: number;
  /** Null: there is nothing to compare with. */
  readonly rsync: number | null;
  /** The same with `--fsync`: rsync makes nothing durable by itself. */
  readonly rsyncDurable?: number;
  /** Most that `own`, or its ratio to rsync's, may be; null: it is there for comparison. */
  readonly limit: { readonly of: 'own' | 'ratio'; readonly value: number } | null;
}

/** Whether the target is reached; true when there is none. */
export function isReached({ own, rsync, limit }: Row): boolean {
  if (limit === null) return true;
  if (limit.of === 'own') return own <= limit.value;
  return rsync !== null && own <= rsync * limit.value;
}

/** The table as Markdown, with the machine it was measured on. `load`: the average before the first row. */
export function toMarkdown(rows: readonly Row[], at: Date, load: number): string {
  const [cpu] = cpus();
  const gib = Math.round(totalmem() / 1024 ** 3);
  return [
    `Measured ${at.toISOString().slice(0, 10)} on ${cpus().length} x ${cpu?.model.trim() ?? 'unknown processor'}, ${gib} GiB, Node.js ${process.versions.node}; load average ${load.toFixed(1)} before, ${(loadavg()[0] ?? 0).toFixed(1)} behind.`,
    '',
    '| what | Understudy | `rsync -a` | ratio | `rsync -a --fsync` | target | reached |',
    '| --- | --: | --: | --: | --: | --: | --- |',
    ...rows.map(line),
  ].join('\n');
}

function line(row: Row): string {
  const { what, unit, own, rsync, rsyncDurable, limit } = row;
  const shown = (value: number | null | undefined) =>
    value === null || value === undefined ? '' : `${value >= 100 ? Math.round(value) : value.toFixed(2)} ${unit}`;
  const ratio = rsync === null ? '' : (own / rsync).toFixed(2);
  const [target, reached] =
    limit === null
      ? ['', '']
      : [limit.of === 'ratio' ? `ratio <= ${limit.value}` : `<= ${limit.value} ${unit}`, isReached(row) ? 'yes' : 'no'];
  const cells = [what, shown(own), shown(rsync), ratio, shown(rsyncDurable), target, reached];
  return `| ${cells.join(' | ')} |`;
}
