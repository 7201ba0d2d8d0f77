import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const PORTS_FROM = 20_000;
const PORTS_TO = 32_000;

/**
 * Ports of an address on which nothing listens, for tests and benchmarks: none that the system gives to connections that go out, because
 * one of those would take it while what listens there is away.
 */
export async function freePorts(count: number, address = '127.0.0.1'): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(PORTS_FROM, PORTS_TO);
    if (!ports.includes(port) && (await isFree(port, address))) ports.push(port);
  }
  return ports;
}

/** One such port. */
export async function freePort(address?: string): Promise<number> {
  const [port = 0] = await freePorts(1, address);
  return port;
}

function isFree(port: number, address: string): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}
