import { at, keptSpan, placeAt, placeOf, routineSpan, SpanKind } from '@understudy/telemetry';
import type { NextFunction, Request, Response } from 'express';

/** Reading, and logging in: asked all the time, and nothing changes by it. */
const isRoutine = ({ method, path }: Request) =>
  method === 'GET' || method === 'HEAD' || path.startsWith('/api/v1/auth/');

/**
 * Traces the requests of the API: every order, and a share of the rest. It goes on in the trace of whoever asks, where that is kept.
 * Probes and the page are not traced.
 */
export function traceRequest(request: Request, response: Response, next: NextFunction): void {
  const { method, path } = request;
  if (!path.startsWith('/api/v1/')) {
    next();
    return;
  }
  const begin = isRoutine(request) ? routineSpan : keptSpan;
  const attributes = { 'http.request.method': method, 'url.path': path };
  const span = begin(method, { kind: SpanKind.SERVER, attributes }, placeOf(request.get('traceparent')));
  response.once('close', () => {
    // known when the request has found its handler; the path itself would make a name of every id
    const route: unknown = request.route?.path;
    if (typeof route === 'string') span.updateName(`${method} ${route}`).setAttribute('http.route', route);
    span.setAttribute('http.response.status_code', response.statusCode);
    span.end();
  });
  at(placeAt(span), next);
}
