import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './deadline.ts';
import type { Host } from './host.ts';
import { REPOSITORY } from './node-scripts.ts';

const FOLDER = join(REPOSITORY, 'infra/prometheus');
const PORT = 9090;

/** One series of an answer: its labels, and its value now. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus on a host of the stage, with the ready configuration and the alert rules, for these servers and scraping every second. */
export class Prometheus {
  constructor(
    private readonly host: Host,
    private readonly servers: readonly { readonly host: Host }[],
  ) {}

  /** Starts it where it does not run yet, and resolves when it has scraped each of the servers. */
  async start(): Promise<void> {
    if (this.pids().length === 0) {
      const directory = join(this.host.directory, 'prometheus');
      mkdirSync(directory, { recursive: true });
      const ready = readFileSync(join(FOLDER, 'prometheus.yml'), 'utf8');
      const targets = this.servers.map(({ host }) => `"${host.address}:8082"`).join(', ');
      const file = join(directory, 'prometheus.yml');
      const configuration = ready
        .replace(/targets: \[.*\]/, `targets: [${targets}]`)
        .replaceAll(/_interval: \d+s/g, '_interval: 1s')
        .replace('understudy.rules.yml', join(FOLDER, 'understudy.rules.yml'));
      writeFileSync(file, configuration);
      const listen = `--web.listen-address=${this.host.address}:${PORT}`;
      const words = ['prometheus', `--config.file=${file}`, `--storage.tsdb.path=${directory}/data`, listen];
      this.host.start(words, { log: 'prometheus.log' });
    }
    await until('Prometheus has scraped both servers', { withinMs: 30_000 }, async () => {
      const series = await this.query('up == 1');
      return series.length === this.servers.length;
    });
  }

  /** What an expression gives now. Rejects when Prometheus does not take it, or does not answer. */
  async query(expression: string): Promise<Series[]> {
    const url = `http://${this.host.address}:${PORT}`;
    const { code, output } = await this.host.run(['promtool', 'query', 'instant', '--format=json', url, expression]);
    if (code !== 0) throw new Error(`${expression}: ${output}`);
    const found = JSON.parse(output) as readonly {
      readonly metric: Series['labels'];
      readonly value: [number, string];
    }[];
    return found.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  private pids(): number[] {
    return this.host.processes().flatMap(({ pid, name }) => (name === 'prometheus' ? [pid] : []));
  }
}
