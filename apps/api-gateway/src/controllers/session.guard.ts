import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { ProblemError } from '../domain/problem.ts';
import type { Route } from '../domain/route.ts';
import { SessionService } from '../services/session.service.ts';
import { isFromAnotherOrigin, isFromThisServer, tokenOf } from './request-facts.ts';
import { ROUTE } from './served-route.ts';

const SAFE_METHODS = new Set(['GET', 'HEAD']);

/** Lets in who is signed in; a handler without a route of the table is closed, not open. */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(
    private readonly sessions: SessionService,
    private readonly reflector: Reflector,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const route = this.reflector.get<Pick<Route, 'access'> | undefined>(ROUTE, context.getHandler());
    if (route?.access === 'open') return true;
    const request = context.switchToHttp().getRequest<Request>();
    const found = tokenOf(request);
    const caller = found && (await this.sessions.identify(found.token, isFromThisServer(request)));
    if (!caller) {
      const detail = found ? 'The session has ended or never was.' : 'Sign in first: POST /api/v1/auth/login.';
      const headers = { 'www-authenticate': 'Bearer realm="understudy"' };
      throw new ProblemError(401, 'not-signed-in', detail, { headers });
    }
    if (found.isCookie && !SAFE_METHODS.has(request.method) && isFromAnotherOrigin(request)) {
      throw new ProblemError(403, 'another-origin', 'The request comes from a page of another origin.');
    }
    return true;
  }
}
