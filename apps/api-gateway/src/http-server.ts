import type { Server } from 'node:https';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { nestLogger } from '@understudy/messaging';
import { hostForUrl, PeerIdentityFile, readOwnIdentity, type ServiceEnvironment } from '@understudy/platform';
import type { NextFunction, Request, Response } from 'express';
import { traceRequest } from './adapters/request-trace.adapter.ts';
import { ApiGatewayModule, type GatewayParts } from './app.module.ts';
import { LIMITS } from './config.ts';
import { ProblemFilter } from './controllers/problem.filter.ts';
import { ProblemError } from './domain/problem.ts';
import { ROUTES, ROUTES_TO_COME } from './domain/routes.ts';
import { EventFeedService } from './services/event-feed.service.ts';

const JSON_TYPES = ['application/json', 'application/merge-patch+json'];
/** The two forms of the Health Monitor page. */
const FORM_PATHS = new Set(['/login', '/logout']);
const OTHER_METHODS = [
  { method: 'GET', path: '/' },
  { method: 'POST', path: '/login' },
  { method: 'POST', path: '/logout' },
  { method: 'GET', path: '/api/openapi.json' },
  { method: 'GET', path: '/api/docs' },
] as const;

/** A listening gateway. */
export interface ListeningGateway {
  close(): Promise<void>;
}

/**
 * Serves HTTPS on the node's address with the server's own certificate. Rejects when there is no certificate yet or the port is
 * taken, with a message that says where.
 */
export async function listen(environment: ServiceEnvironment, parts: GatewayParts): Promise<ListeningGateway> {
  const { configuration, paths, logger } = environment;
  const identity = await readOwnIdentity(paths);
  if (!identity) throw new Error(`${paths.certificate} is missing; "understudy node run" makes it at its first start.`);
  const httpsOptions = {
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    minVersion: 'TLSv1.2' as const,
    handshakeTimeout: LIMITS.handshakeMs,
  };
  const app = await NestFactory.create<NestExpressApplication>(ApiGatewayModule.for(environment, parts), {
    logger: nestLogger(logger),
    abortOnError: false,
    bodyParser: false,
    forceCloseConnections: true,
    httpsOptions,
  });
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.use(protect);
  app.use(refuseOtherBodies);
  app.useBodyParser('json', { limit: LIMITS.bodyBytesMax, type: JSON_TYPES, strict: false });
  app.useBodyParser('urlencoded', { limit: LIMITS.openBodyBytesMax, extended: false });
  // after the bodies, whose readers call what follows from outside of every trace
  app.use(traceRequest);
  app.useGlobalFilters(new ProblemFilter([...Object.values(ROUTES), ...ROUTES_TO_COME, ...OTHER_METHODS], logger));
  const server = app.getHttpServer() as Server;
  server.headersTimeout = LIMITS.headersMs;
  server.requestTimeout = LIMITS.requestMs;
  server.maxConnections = LIMITS.connectionsMax;

  const { address } = configuration.node;
  const port = configuration.ports.healthMonitor;
  try {
    // the virtual IP comes and goes: whoever listens on every address need not follow it
    await (configuration.virtualIp ? app.listen(port) : app.listen(port, address));
  } catch (error) {
    await app.close().catch(() => undefined);
    throw explained(error as NodeJS.ErrnoException, address, port);
  }
  // a renewed certificate is shown to whoever connects from now on
  const unfollow = new PeerIdentityFile(paths.peer, () => null).follow(
    async () => {
      const renewed = await readOwnIdentity(paths);
      if (renewed !== null)
        server.setSecureContext({ ...httpsOptions, key: renewed.privateKeyPem, cert: renewed.certificatePem });
    },
    (error) => logger.error('The certificate of this server cannot be read; the one before stays', { error }),
  );
  const feed = app.get(EventFeedService);
  feed.start();
  logger.info(`Health Monitor at https://${hostForUrl(address)}:${port}`);
  return {
    close: async () => {
      feed.stop();
      unfollow();
      await app.close();
    },
  };
}

function explained(error: NodeJS.ErrnoException, address: string, port: number): Error {
  const where = `${hostForUrl(address)}:${port} (ports.healthMonitor)`;
  if (error.code === 'EADDRINUSE') return new Error(`${where} is taken by another program.`);
  if (error.code === 'EADDRNOTAVAIL') return new Error(`${where}: node.address is no address of this machine.`);
  return new Error(`${where} cannot be listened on: ${error.message}`);
}

function protect(_: Request, response: Response, next: NextFunction): void {
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('x-frame-options', 'DENY');
  response.setHeader('cache-control', 'no-store');
  next();
}

function refuseOtherBodies(request: Request, _: Response, next: NextFunction): void {
  next(objectionToBody(request));
}

/** A body must be JSON, or a form where the page has one; what strangers may send is smaller than what operators may. */
function objectionToBody({ headers, path }: Request): ProblemError | undefined {
  const length = headers['content-length'];
  const hasBody = headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
  if (!hasBody) return undefined;
  const accepted = FORM_PATHS.has(path) ? ['application/x-www-form-urlencoded'] : JSON_TYPES;
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (!accepted.includes(type)) {
    const detail = `The body must be ${accepted[0]}${type === '' ? '' : `, not ${type}`}.`;
    return new ProblemError(415, 'unsupported-media-type', detail);
  }
  const isOpen = path.startsWith('/api/v1/pair/') || path.startsWith('/api/v1/auth/');
  if (isOpen && Number(length) > LIMITS.openBodyBytesMax) {
    const detail = `The body is larger than ${LIMITS.openBodyBytesMax / 1024} KiB.`;
    return new ProblemError(413, 'too-large', detail);
  }
  return undefined;
}
