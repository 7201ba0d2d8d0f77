import { connect } from 'node:net';

/** Asks whether TLS is spoken: the first thing a client of PostgreSQL says, and answered before any login. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

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
