import { Controller, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { LIMITS } from '../config.ts';
import type { LoginInput } from '../domain/inputs.ts';
import { ProblemError } from '../domain/problem.ts';
import { ROUTES } from '../domain/routes.ts';
import { LoginService } from '../services/login.service.ts';
import { SessionService } from '../services/session.service.ts';
import { Checked } from './input.pipe.ts';
import { sessionCookie, sourceOf, tokenOf } from './request-facts.ts';
import { Serves } from './served-route.ts';

/** Signing in and out. */
@Controller()
export class AuthController {
  constructor(
    private readonly login: LoginService,
    private readonly sessions: SessionService,
  ) {}

  @Serves(ROUTES.login)
  async signIn(
    @Checked(ROUTES.login) { authenticationKey }: z.output<typeof LoginInput>,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ) {
    if (authenticationKey === undefined) {
      throw new ProblemError(
        501,
        'not-yet-available',
        'Signing in by user name is not yet available; use authenticationKey.',
      );
    }
    const session = await this.login.signIn(authenticationKey, sourceOf(request), whileConnected(response));
    response.setHeader('set-cookie', sessionCookie(session.token, LIMITS.sessionMs / 1000));
    return session;
  }

  @Serves(ROUTES.logout)
  async signOut(
    @Checked(ROUTES.logout) _: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<void> {
    const found = tokenOf(request);
    if (found) await this.sessions.end(found.token);
    response.setHeader('set-cookie', sessionCookie('', 0));
  }
}

/** Aborted when the client goes away before it has its answer: nobody needs to wait for it any longer. */
export function whileConnected(response: Response): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}
