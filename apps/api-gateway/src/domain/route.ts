import type { z } from 'zod';

/** A schema with the name it has in the OpenAPI document. */
export interface NamedSchema {
  readonly name: string;
  readonly schema: z.ZodType;
}

/** One public route: enough to serve it, to check what is sent to it, and to describe it. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As the HTTP framework writes it: `/api/v1/operations/:id`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** `open`: no login. */
  readonly access: 'open' | 'session';
  readonly body?: NamedSchema;
  readonly query?: z.ZodObject;
  readonly status: number;
  readonly reply?: NamedSchema;
  /** Of the answer, when it is not JSON. */
  readonly media?: string;
  /** Error statuses peculiar to this route. */
  readonly problems?: readonly number[];
}

/** Which methods a path has among `routes`, in their order; empty when the path is unknown. */
export function methodsAt(routes: readonly Pick<Route, 'method' | 'path'>[], path: string): string[] {
  const at = path.split('/');
  const methods = routes.filter((route) => matches(route.path.split('/'), at)).map(({ method }) => method as string);
  return [...new Set(methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))];
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  const rest = pattern.findIndex((part) => part.startsWith('*'));
  if (rest < 0 && pattern.length !== path.length) return false;
  if (rest >= 0 && path.length <= rest) return false;
  return pattern.every((part, index) => {
    if (rest >= 0 && index >= rest) return true;
    return part.startsWith(':') ? path[index] !== '' : part === path[index];
  });
}
