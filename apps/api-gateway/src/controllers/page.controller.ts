import { Body, Controller, Get, HttpCode, Post, Req, Res, SetMetadata } from '@nestjs/common';
import { LatestReadinessReport, StartReadinessChecks } from '@understudy/contracts';
import type { Request, Response } from 'express';
import { LIMITS } from '../config.ts';
import { loginPage, statusPage } from '../domain/page.ts';
import { ProblemError } from '../domain/problem.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';
import { LoginService } from '../services/login.service.ts';
import { ReadinessCheckerService } from '../services/readiness-checker.service.ts';
import { SessionService } from '../services/session.service.ts';
import { VersionService } from '../services/version.service.ts';
import { whileConnected } from './auth.controller.ts';
import { isFromAnotherOrigin, isFromThisServer, sessionCookie, sourceOf, tokenOf } from './request-facts.ts';
import { ROUTE } from './served-route.ts';

const OPEN = SetMetadata(ROUTE, { access: 'open' });
const EVENTS_SHOWN = 30;
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/** The Health Monitor page. Plain HTML from this server: it works while everything else is broken. */
@Controller()
export class PageController {
  constructor(
    private readonly healthMonitor: HealthMonitorService,
    private readonly readiness: ReadinessCheckerService,
    private readonly login: LoginService,
    private readonly sessions: SessionService,
    private readonly version: VersionService,
  ) {}

  @Get('/')
  @OPEN
  async show(@Req() request: Request, @Res() response: Response): Promise<void> {
    if (!(await this.isSignedIn(request))) return sendPage(response, 200, loginPage(this.version.serverName));
    const [status, events, readiness] = await Promise.all([
      this.healthMonitor.statusOrNull(),
      this.healthMonitor.events(null, EVENTS_SHOWN).catch(() => ({ events: [] })),
      this.readiness.ask(LatestReadinessReport, {}).catch(() => null),
    ]);
    const { serverName } = this.version;
    sendPage(response, 200, statusPage({ serverName, status, events: events.events, readiness }));
  }

  @Post('/login')
  @HttpCode(303)
  @OPEN
  async signIn(@Body() body: unknown, @Req() request: Request, @Res() response: Response): Promise<void> {
    refuseOtherOrigins(request);
    const key = (body as { authenticationKey?: unknown } | undefined)?.authenticationKey;
    if (typeof key !== 'string' || key === '' || key.length > 200) {
      return sendPage(response, 422, loginPage(this.version.serverName, 'Type the authentication key.'));
    }
    try {
      const { token } = await this.login.signIn(key, sourceOf(request), whileConnected(response));
      response.setHeader('set-cookie', sessionCookie(token, LIMITS.sessionMs / 1000));
      response.redirect(303, '/');
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      sendPage(response, error.status, loginPage(this.version.serverName, error.message));
    }
  }

  @Post('/check-readiness')
  @OPEN
  async checkReadiness(@Req() request: Request, @Res() response: Response): Promise<void> {
    refuseOtherOrigins(request);
    // one that runs already is the one that was asked for; whoever is not signed in sees the form for it
    if (await this.isSignedIn(request)) await this.readiness.ask(StartReadinessChecks, {}).catch(() => undefined);
    response.redirect(303, '/');
  }

  @Post('/logout')
  @OPEN
  async signOut(@Req() request: Request, @Res() response: Response): Promise<void> {
    refuseOtherOrigins(request);
    const found = tokenOf(request);
    if (found) await this.sessions.end(found.token);
    response.setHeader('set-cookie', sessionCookie('', 0));
    response.redirect(303, '/');
  }

  private async isSignedIn(request: Request): Promise<boolean> {
    const found = tokenOf(request);
    return found !== null && (await this.sessions.identify(found.token, isFromThisServer(request))) !== null;
  }
}

function refuseOtherOrigins(request: Request): void {
  if (isFromAnotherOrigin(request)) {
    throw new ProblemError(403, 'another-origin', 'The request comes from a page of another origin.');
  }
}

function sendPage(response: Response, status: number, html: string): void {
  response.status(status);
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.setHeader('content-security-policy', POLICY);
  response.end(html);
}
