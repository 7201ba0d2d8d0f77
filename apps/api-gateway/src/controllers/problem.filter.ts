import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, NotFoundException } from '@nestjs/common';
import type { Logger } from '@understudy/platform';
import type { Request, Response } from 'express';
import { ProblemError } from '../domain/problem.ts';
import { methodsAt, type Route } from '../domain/route.ts';

/** Every error leaves as application/problem+json; what was not foreseen is logged and told without its inside. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly routes: readonly Pick<Route, 'method' | 'path'>[],
    private readonly logger: Logger,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    const problem = this.problemOf(error, request);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    // A body that was refused unread must not be taken for the next request.
    if (problem.status === 413 || problem.status === 415) response.setHeader('connection', 'close');
    for (const [name, value] of Object.entries(problem.options.headers ?? {})) response.setHeader(name, value);
    response.status(problem.status);
    response.setHeader('content-type', 'application/problem+json; charset=utf-8');
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(problem.toBody()));
  }

  private problemOf(error: unknown, request: Request): ProblemError {
    if (error instanceof ProblemError) return error;
    const { type, status, statusCode, name } = error as {
      type?: string;
      status?: number;
      statusCode?: number;
      name?: string;
    };
    if (type === 'entity.too.large') return new ProblemError(413, 'too-large', 'The body is larger than 64 KiB.');
    if (type?.startsWith('charset.') || type?.startsWith('encoding.')) {
      return new ProblemError(415, 'unsupported-media-type', 'The body must be JSON in UTF-8.');
    }
    if (error instanceof NotFoundException) return this.notFound(request);
    const asked = status ?? statusCode ?? (error instanceof HttpException ? error.getStatus() : undefined);
    if (error instanceof SyntaxError || type === 'entity.parse.failed') {
      return new ProblemError(400, 'malformed-json', `The body is not JSON: ${(error as Error).message}.`);
    }
    if (name === 'AbortError') return new ProblemError(400, 'aborted', 'The client went away.');
    if (asked !== undefined && asked >= 400 && asked < 500) {
      return new ProblemError(asked, 'bad-request', (error as Error).message);
    }
    this.logger.error('A request failed unexpectedly', { method: request.method, path: request.path, error });
    return new ProblemError(
      500,
      'internal-error',
      'Something unexpected happened; the log of api-gateway has the details.',
    );
  }

  private notFound(request: Request): ProblemError {
    const methods = methodsAt(this.routes, request.path);
    if (methods.length === 0 || methods.includes(request.method)) {
      return new ProblemError(404, 'not-found', `There is nothing at ${request.path}.`);
    }
    const detail = `${request.path} knows ${methods.join(', ')}, not ${request.method}.`;
    return new ProblemError(405, 'method-not-allowed', detail, { headers: { allow: methods.join(', ') } });
  }
}
