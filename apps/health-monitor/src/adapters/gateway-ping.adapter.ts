import { execFile } from 'node:child_process';
import type { GatewayProbe } from '../ports/lease-store.port.ts';

/** Asks the router by the system's `ping`, which may send what an ordinary process may not. */
export class GatewayPing implements GatewayProbe {
  constructor(private readonly address: string) {}

  answers(): Promise<boolean> {
    return new Promise((resolve) => {
      execFile('ping', ['-n', '-q', '-c', '1', '-W', '1', this.address], { timeout: 2000 }, (error) =>
        // a ping that cannot be run says nothing about the router
        resolve(error === null || typeof error.code === 'string'),
      );
    });
  }
}
