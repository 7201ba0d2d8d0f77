import { createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { SSL_REQUEST } from './database-answers.ts';

const VISIT_MS = 2000;

/**
 * Listens where PostgreSQL will, on a server that has none yet, so that the other server can try the way: it answers as far as TLS with
 * this server's certificate. Closed after one visit, or when the time is over. Null: it could listen there; else why not, for people.
 */
export function standIn(
  { host, port, cert, key }: { host: string; port: number; cert: string; key: string },
  limitMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  return new Promise((resolve) => {
    const visitors = new Set<Socket>();
    const server = createServer((socket) => {
      visitors.add(socket);
      socket.once('close', () => {
        visitors.delete(socket);
        close(null);
      });
      socket.on('error', () => undefined);
      socket.setTimeout(VISIT_MS, () => socket.destroy());
      socket.once('data', (data) => {
        if (!data.equals(SSL_REQUEST)) return socket.destroy();
        socket.write('S');
        const secure = new TLSSocket(socket, { isServer: true, cert, key });
        secure.on('error', () => socket.destroy());
        secure.resume();
        secure.once('end', () => socket.destroy());
      });
    });
    const close = (problem: string | null) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      server.close();
      for (const socket of visitors) socket.destroy();
      resolve(problem);
    };
    const stop = () => close(null);
    const timer = setTimeout(stop, limitMs);
    signal.addEventListener('abort', stop, { once: true });
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'EADDRINUSE') close(`another program listens at ${host}:${port} (ports.database)`);
      else close(`${host}:${port} (ports.database) cannot be listened on: ${code ?? message}`);
    });
    server.listen({ host, port, backlog: 4 });
  });
}
