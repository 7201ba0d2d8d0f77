import { applyDecorators, HttpCode, RequestMapping, RequestMethod, SetMetadata } from '@nestjs/common';
import type { Route } from '../domain/route.ts';

/** Where a handler's route is found by the guard. */
export const ROUTE = Symbol('route');

/** Serves a route of the table with the decorated method. */
export function Serves(route: Route): MethodDecorator {
  return applyDecorators(
    RequestMapping({ path: route.path, method: RequestMethod[route.method] }),
    HttpCode(route.status),
    SetMetadata(ROUTE, route),
  );
}
