import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { configurationFrom, type SampleConfiguration } from './config.ts';
import { Ledger } from './ledger.ts';
import { renderPage } from './page.ts';

const WRITE_INTERVAL_MS = 1_000;
/** Without a successful write for this long it calls itself unhealthy. */
const WRITE_AGE_MS_MAX = 5_000;

/** A running sample application. */
export interface SampleApp {
  /** Port it really listens on. */
  readonly port: number;
  close(): Promise<void>;
}

/** Runs the sample until SIGTERM or SIGINT; a port that is taken ends it with exit code 1. */
export async function runSampleApp(env: NodeJS.ProcessEnv): Promise<void> {
  const app = await startSampleApp(configurationFrom(env));
  const stop = () => void app.close().finally(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

/** Starts writing a row each second and answering on HTTP: `/` page, `/rows` JSON, `/health` 200 or 503. */
export async function startSampleApp(configuration: SampleConfiguration): Promise<SampleApp> {
  const ledger = new Ledger(configuration.database);
  const writer = startWriter(ledger, configuration.serverName);
  const server = createServer((request, response) => {
    void answer(request.url ?? '/', request.method ?? 'GET')
      .catch((error: Error) => ({
        status: 503,
        type: 'text/plain',
        body: `The database did not answer: ${error.message}\n`,
      }))
      .then(({ status, type, body }) => {
        response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' });
        response.end(request.method === 'HEAD' ? undefined : body);
      });
  });

  async function answer(url: string, method: string) {
    const { pathname } = new URL(url, 'http://sample');
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, type: 'text/plain', body: 'Only GET is known.\n' };
    if (pathname === '/health') {
      const age = writer.ageMs();
      const isHealthy = age <= WRITE_AGE_MS_MAX;
      const body = JSON.stringify({
        healthy: isHealthy,
        server: configuration.serverName,
        lastWriteAgeMs: Math.round(age),
      });
      return { status: isHealthy ? 200 : 503, type: 'application/json', body: `${body}\n` };
    }
    if (pathname !== '/' && pathname !== '/rows') return { status: 404, type: 'text/plain', body: 'Not found.\n' };
    const { rows, total } = await ledger.latest(10);
    if (pathname === '/rows') {
      const body = JSON.stringify({ server: configuration.serverName, total, rows });
      return { status: 200, type: 'application/json', body: `${body}\n` };
    }
    return { status: 200, type: 'text/html', body: renderPage(configuration.serverName, rows, total) };
  }

  try {
    await listen(server, configuration.listenPort, configuration.listenAddress);
  } catch (error) {
    await writer.stop();
    await ledger.close();
    throw error;
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await writer.stop();
      await ledger.close();
    },
  };
}

/** One row each second; a write that fails is tried again with the next, never queued up. */
function startWriter(ledger: Ledger, serverName: string) {
  let lastSuccessMs = performance.now();
  let isStopped = false;
  let inFlight: Promise<void> = Promise.resolve();
  let isWriting = false;
  const write = async () => {
    if (isWriting || isStopped) return;
    isWriting = true;
    try {
      await ledger.append(serverName);
      lastSuccessMs = performance.now();
    } catch (error) {
      console.error(`A row could not be written: ${(error as Error).message}`);
    } finally {
      isWriting = false;
    }
  };
  const tick = () => {
    inFlight = write();
  };
  const timer = setInterval(tick, WRITE_INTERVAL_MS);
  tick();
  return {
    ageMs: () => performance.now() - lastSuccessMs,
    stop: async () => {
      isStopped = true;
      clearInterval(timer);
      await inFlight;
    },
  };
}

function listen(server: Server, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
