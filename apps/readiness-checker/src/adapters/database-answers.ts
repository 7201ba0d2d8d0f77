import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

/** Asks whether TLS is spoken: the first thing a client of PostgreSQL says, and answered before any login. */
export const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Whether a PostgreSQL answers there; null when it does, else what is wrong, for people. Never rejects. */
export function databaseAnswers(host: string, port: number, limitMs: number): Promise<string | null> {
  const where = `${host}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let isOpen = false;
    const settle = (problem: string | null) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(problem);
    };
    const timer = setTimeout(() => {
      const reason = isOpen
        ? 'takes connections, but does not answer'
        : 'gives no sign: a firewall drops what is sent there, or there is no way';
      settle(`${where} ${reason} (${limitMs / 1000} s)`);
    }, limitMs);
    socket.once('connect', () => {
      isOpen = true;
      socket.write(SSL_REQUEST);
    });
    socket.once('data', (data) => {
      const answer = String.fromCharCode(data[0] ?? 0);
      settle(
        answer === 'S'
          ? null
          : answer === 'N'
            ? `PostgreSQL at ${where} speaks no TLS`
            : `what listens at ${where} is no PostgreSQL`,
      );
    });
    socket.once('close', () => settle(`${where} closes the connection`));
    socket.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED') settle(`nothing listens at ${where}, or a firewall rejects it`);
      else settle(`${where}: ${code ?? message}`);
    });
  });
}

/** What a visit to a database port has found, for people; null: nothing is wrong with the port, with what follows on it. */
export interface PortVisit {
  readonly port: string | null;
  readonly tls: string | null;
}

const AGAIN_MS = 150;

/**
 * Goes to a database port as far as TLS, and compares the certificate. What listens there on a server that has no database yet may come a
 * moment later: a refused connection is tried again for a time.
 */
export async function visitDatabase(
  { host, port, name, certificatePem }: { host: string; port: number; name: string; certificatePem: string },
  limitMs: number,
): Promise<PortVisit> {
  for (const endMs = performance.now() + limitMs; ; await sleep(AGAIN_MS)) {
    const leftMs = endMs - performance.now();
    const visit = await visitOnce(host, port, name, certificatePem, leftMs);
    if (!visit.isRefused || leftMs < 2 * AGAIN_MS) return visit;
  }
}

function visitOnce(
  host: string,
  port: number,
  name: string,
  ca: string,
  limitMs: number,
): Promise<PortVisit & { isRefused?: boolean }> {
  const where = `${host}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (visit: PortVisit & { isRefused?: boolean }) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(visit);
    };
    const noPort = (reason: string) => settle({ port: reason, tls: reason });
    const noTls = (reason: string) => settle({ port: null, tls: reason });
    let late = () => noPort(`${where} gives no sign: a firewall drops what is sent there, or there is no way`);
    const timer = setTimeout(() => late(), limitMs);
    socket.once('connect', () => {
      late = () => noTls(`${where} takes connections, but does not answer`);
      socket.write(SSL_REQUEST);
    });
    socket.once('data', (data) => {
      const answer = String.fromCharCode(data[0] ?? 0);
      if (answer === 'N') return noTls(`PostgreSQL at ${where} speaks no TLS`);
      if (answer !== 'S') return noTls(`what listens at ${where} is no PostgreSQL`);
      const secure = connectTls({ socket, ca, checkServerIdentity: () => undefined });
      secure.once('secureConnect', () => {
        secure.end();
        settle({ port: null, tls: null });
      });
      secure.once('error', ({ message }) => noTls(`${where} does not show the certificate of ${name}: ${message}`));
    });
    socket.once('close', () => noTls(`${where} closes the connection`));
    socket.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code !== 'ECONNREFUSED') return noPort(`${where}: ${code ?? message}`);
      const reason = `nothing listens at ${where}, or a firewall rejects it`;
      settle({ port: reason, tls: reason, isRefused: true });
    });
  });
}
