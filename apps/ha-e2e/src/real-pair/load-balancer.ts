import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host } from './host.ts';
import type { UnderstudyServer } from './understudy-server.ts';

const CONFIGURATION = fileURLToPath(new URL('../../../../infra/haproxy/haproxy.cfg', import.meta.url));

/** The real HAProxy on a host, with the configuration that is shipped, in front of both servers' databases. */
export class LoadBalancer {
  constructor(
    private readonly host: Host,
    private readonly servers: readonly UnderstudyServer[],
  ) {}

  /** Where its clients find the active server. */
  get target(): string {
    return `${this.host.address}:5432`;
  }

  /** Starts it; its messages go to `log/haproxy.log` of the host. */
  start(): void {
    const certificates = join(this.host.directory, 'certificates');
    mkdirSync(certificates, { recursive: true });
    const settings = [`CERTIFICATES=${certificates}`, 'PORT=5432'];
    for (const { host, description, dataDirectory } of this.servers) {
      const { name } = description;
      copyFileSync(join(dataDirectory, 'identity/certificate.pem'), join(certificates, `${name}.pem`));
      settings.push(`${name.toUpperCase()}=${host.address}`);
    }
    this.host.start(['env', ...settings, 'haproxy', '-db', '-f', CONFIGURATION], { log: 'haproxy.log' });
  }

  stop(): void {
    for (const { pid, name } of this.host.processes()) if (name === 'haproxy') this.host.kill(pid);
  }
}
