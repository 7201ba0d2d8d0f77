import { request } from 'node:https';
import type { MeasurementOrder } from '@understudy/contracts';
import type { KnownCounterpart } from '../ports/counterpart.port.ts';

const TEXT_BYTES_MAX = 1024 * 1024;

/** Time was over before an answer began. */
export class NoAnswer extends Error {}

/** What came from a gateway. */
export interface ChannelAnswer {
  /** Its first 1 MiB. */
  readonly text: string;
  readonly bytes: number;
  /** From the beginning of the answer to its end, or to the end of the time. */
  readonly milliseconds: number;
  /** False: it was ended because its time was over. */
  readonly isWhole: boolean;
}

/**
 * Asks the gateway of a server that has proven the key, with the ticket of that proof, over TLS with the very certificate that was
 * proven. An answer that has begun when the time is over is given as far as it came; else, and where it refuses, this rejects.
 */
export function askCandidate(
  { server, ticket }: KnownCounterpart,
  what: 'measure' | 'sample',
  limitMs: number,
  order: MeasurementOrder = {},
): Promise<ChannelAnswer> {
  const where = `${server.address}:${server.ports.healthMonitor}`;
  return new Promise((resolve, reject) => {
    const attempt = request({
      host: server.address,
      port: server.ports.healthMonitor,
      path: `/api/v1/pair/readiness/${what}`,
      method: 'POST',
      agent: false,
      // nothing is sent before this is verified; the name in it does not matter
      ca: server.certificatePem,
      checkServerIdentity: () => undefined,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
    });
    const end = (settle: () => void) => {
      clearTimeout(timer);
      settle();
      attempt.destroy();
    };
    const fail = (reason: string) => end(() => reject(new Error(reason)));
    let late = () =>
      end(() => reject(new NoAnswer(`${where} did not answer within ${Math.round(limitMs / 100) / 10} s`)));
    const timer = setTimeout(() => late(), limitMs);
    attempt.on('error', ({ message }) => fail(`${where}: ${message}`));
    attempt.on('response', (response) => {
      const began = performance.now();
      let [text, bytes] = ['', 0];
      const settle = (isWhole: boolean) =>
        end(() => {
          if (response.statusCode === 200) resolve({ text, bytes, milliseconds: performance.now() - began, isWhole });
          else reject(new Error(refusalIn(text) ?? `${where} answers with status ${response.statusCode}`));
        });
      late = () => settle(false);
      response.on('data', (data: Buffer) => {
        bytes += data.length;
        if (bytes <= TEXT_BYTES_MAX) text += data.toString();
      });
      response.on('end', () => settle(true));
      response.on('error', ({ message }) => fail(`${where}: ${message}`));
    });
    attempt.end(JSON.stringify({ ...order, ticket }));
  });
}

function refusalIn(text: string): string | null {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === 'string' ? detail : null;
  } catch {
    return null;
  }
}
