import type { UnderstudyServer } from '../real-pair/understudy-server.ts';

/** As in infra/systemd/understudy.service. */
const RESTART_AFTER_MS = 1000;

/** Starts `node run` again a second after it has ended, as the init system of a server does. */
export class InitSystem {
  /** How often it had to. */
  restarts = 0;
  private readonly waiting = new Map<UnderstudyServer, NodeJS.Timeout>();

  constructor(private readonly servers: readonly UnderstudyServer[]) {}

  /** Looks after the servers; to be called often. */
  look(): void {
    for (const server of this.servers) {
      if (server.runnerPid() !== null || !server.host.isPowered || this.waiting.has(server)) continue;
      this.waiting.set(
        server,
        setTimeout(() => this.restart(server), RESTART_AFTER_MS),
      );
    }
  }

  /** Leaves the servers alone from now on. */
  stop(): void {
    for (const timer of this.waiting.values()) clearTimeout(timer);
  }

  private restart(server: UnderstudyServer): void {
    this.waiting.delete(server);
    if (server.runnerPid() !== null || !server.host.isPowered) return;
    this.restarts += 1;
    server.boot();
  }
}
