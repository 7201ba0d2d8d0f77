/**
 * What Node.js takes at least to bring a file to another process over HTTPS: nothing is hashed, compared, written or made durable. Run as a
 * process of its own it serves the file that it is told.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createServer, request } from 'node:https';
import { freePort } from '@understudy/platform';
import { ADDRESS } from './measured-side.ts';

const READ_BYTES = 256 * 1024;

interface Served {
  readonly file: string;
  readonly port: number;
  readonly cert: string;
  readonly key: string;
}

/** Seconds from the request to the last byte. */
export async function measurePlainHttps(file: string, identity: Pick<Served, 'cert' | 'key'>): Promise<number> {
  const child = fork(new URL('./plain-https.js', import.meta.url));
  const port = await freePort();
  child.send({ file, port, ...identity } satisfies Served);
  await once(child, 'message');
  const begunAtMs = performance.now();
  const outgoing = request({ host: ADDRESS, port, ca: identity.cert, checkServerIdentity: () => undefined });
  outgoing.end();
  const [response] = await once(outgoing, 'response');
  response.resume();
  await once(response, 'end');
  const seconds = (performance.now() - begunAtMs) / 1000;
  child.kill();
  await once(child, 'exit');
  return seconds;
}

process.once('message', ({ file, port, cert, key }: Served) => {
  const server = createServer({ cert, key, minVersion: 'TLSv1.3' }, (_, response) => {
    createReadStream(file, { highWaterMark: READ_BYTES }).pipe(response);
  });
  server.listen(port, ADDRESS, () => process.send?.('listens'));
});
