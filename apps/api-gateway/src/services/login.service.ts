import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { VerifyAuthenticationKey } from '@understudy/contracts';
import { LIMITS } from '../config.ts';
import { FailedAttempts } from '../domain/attempts.ts';
import { ProblemError } from '../domain/problem.ts';
import { Clock } from '../ports/clock.port.ts';
import { LocalFiles } from '../ports/local-files.port.ts';
import { HealthMonitorService } from './health-monitor.service.ts';
import { SessionService } from './session.service.ts';

const KEY_ACCOUNT = 'authentication key';
/** One source may make others wait only so long for the account they share. */
const SOURCE_WAIT_MS_MAX = 30_000;
/** Who would have to wait longer is told so: a client does not wait for an answer as long as that. */
const HELD_MS_MAX = 8000;
const ACCOUNT_WAIT_MS_MAX = 4_000;
const WAITING_PER_SOURCE_MAX = 3;
const WAITING_MAX = 100;
/** How often it is asked again when the key changes meanwhile. */
const KEY_LOOKS = 3;

/** Signs in by the authentication key. Each wrong one makes the next attempt wait longer, per source and per account. */
@Injectable()
export class LoginService {
  private readonly sources = new FailedAttempts(SOURCE_WAIT_MS_MAX);
  private readonly accounts = new FailedAttempts(ACCOUNT_WAIT_MS_MAX);
  private readonly queues = new Map<string, { waiting: number; last: Promise<unknown> }>();
  private waiting = 0;

  constructor(
    private readonly healthMonitor: HealthMonitorService,
    private readonly sessions: SessionService,
    private readonly files: LocalFiles,
    private readonly clock: Clock,
  ) {}

  /** A new session; 401 when the key is wrong, 429 when too many attempts of this source wait already. */
  async signIn(authenticationKey: string, source: string, signal?: AbortSignal) {
    const keyId = await this.inTurn(source, async () => {
      await this.serveWait(source, signal);
      const { configured, valid, id } = await this.verify(authenticationKey);
      if (valid) {
        this.sources.succeeded(source);
        this.accounts.succeeded(KEY_ACCOUNT);
        return id;
      }
      this.sources.failed(source, this.clock.nowMs());
      this.accounts.failed(KEY_ACCOUNT, this.clock.nowMs());
      throw wrongKey(configured);
    });
    return this.sessions.begin('administrator', keyId);
  }

  /** Also says which key it was: a file that was read just now may have brought another one. */
  private async verify(authenticationKey: string) {
    for (let left = KEY_LOOKS; ; left--) {
      const before = await this.files.authenticationKeyId();
      const verified = await this.healthMonitor.ask(VerifyAuthenticationKey, { authenticationKey }, LIMITS.verifyKeyMs);
      const id = await this.files.authenticationKeyId();
      if (id === before || left <= 1) return { ...verified, id: before };
    }
  }

  /** One attempt of a source after the other: many at once are no quicker than one by one. */
  private async inTurn<T>(source: string, attempt: () => Promise<T>): Promise<T> {
    const queue = this.queues.get(source) ?? { waiting: 0, last: Promise.resolve() };
    if (queue.waiting >= WAITING_PER_SOURCE_MAX || this.waiting >= WAITING_MAX) throw tooMany();
    this.queues.set(source, queue);
    queue.waiting += 1;
    this.waiting += 1;
    const mine = queue.last.then(attempt);
    queue.last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      queue.waiting -= 1;
      this.waiting -= 1;
      if (queue.waiting === 0) this.queues.delete(source);
    }
  }

  private async serveWait(source: string, signal?: AbortSignal): Promise<void> {
    const atMs = this.clock.nowMs();
    const waitMs = Math.max(this.sources.waitMs(source, atMs), this.accounts.waitMs(KEY_ACCOUNT, atMs));
    if (waitMs > HELD_MS_MAX) throw tooMany(Math.ceil(waitMs / 1000));
    if (waitMs > 0) await sleep(waitMs, undefined, signal ? { signal } : {});
  }
}

function wrongKey(isConfigured: boolean): ProblemError {
  const detail = isConfigured
    ? 'The authentication key is wrong.'
    : 'No authentication key is set on this server yet: it gets one at registration, or from node.authenticationKeyFile.';
  return new ProblemError(401, 'wrong-key', detail, { headers: { 'www-authenticate': 'Bearer realm="understudy"' } });
}

function tooMany(waitSeconds = 30): ProblemError {
  const detail = `Too many attempts to sign in with a wrong key, or at once. Try again in ${waitSeconds} s.`;
  return new ProblemError(429, 'too-many-attempts', detail, { headers: { 'retry-after': String(waitSeconds) } });
}
